//! Cuts between nodes. Clients still reach all of them, so that who was left behind is asked too.

use anyhow::{Context as _, Result};

use crate::real::field::Field;
use crate::real::proxy::Manner;

/// How the nodes are divided.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// The leader and less than half of the others, and the rest.
    LeaderInMinority,
    /// Any minority, and the rest.
    Minority,
    /// Everybody alone.
    Shattered,
    /// One node hears nobody, and all hear it.
    Deaf,
    /// One node is heard by nobody, and hears all.
    Mute,
    /// Two halves that only one node hears, both of them.
    Bridge,
    /// Each node hears a majority, and no two of them the same one.
    Ring,
}

const SHAPES: [Shape; 7] = [
    Shape::LeaderInMinority,
    Shape::Minority,
    Shape::Shattered,
    Shape::Deaf,
    Shape::Mute,
    Shape::Bridge,
    Shape::Ring,
];

pub(super) async fn strike(field: &mut Field) -> Result<String> {
    let shape = field.one_of(&SHAPES)?;
    let mut nodes = field.pick(usize::MAX);
    if matches!(shape, Shape::LeaderInMinority | Shape::Deaf | Shape::Mute)
        && let Some(leader) = field.leader().await
        && let Some(place) = nodes.iter().position(|node| *node == leader)
    {
        nodes.swap(0, place);
    }
    if field.ground.switch().is_none() {
        return deafen(field, nodes);
    }
    let ports = nodes.iter().map(|node| field.port(*node));
    let ports: Vec<u8> = ports.collect::<Result<_>>()?;
    let minority = field.minority();
    let switch = field.ground.switch().context("partitions need a network")?;
    for (place, from) in ports.iter().enumerate() {
        for (other, to) in ports.iter().enumerate() {
            if place != other && is_cut(shape, place, other, ports.len(), minority) {
                switch.change(*from, *to, |link| link.cut = true);
            }
        }
    }
    field.count("partitions", 1);
    Ok(format!("partition {shape:?} of {nodes:?}"))
}

/// All that relays can do: some nodes hear nobody, a minority or all but one.
fn deafen(field: &mut Field, mut nodes: Vec<u64>) -> Result<String> {
    let most = nodes.len().saturating_sub(1);
    let counts = [1, field.minority(), most];
    nodes.truncate(field.one_of(&counts)?);
    for node in &nodes {
        let manner = Manner {
            cut: true,
            ..Manner::default()
        };
        field.ground.relay(field.machine(*node)?, manner);
    }
    field.count("partitions", 1);
    Ok(format!("partition: {nodes:?} hear nobody"))
}

/// Whether nothing gets from the one place to the other; both count from 0.
fn is_cut(shape: Shape, from: usize, to: usize, count: usize, minority: usize) -> bool {
    match shape {
        Shape::LeaderInMinority | Shape::Minority => (from < minority) != (to < minority),
        Shape::Shattered => true,
        Shape::Deaf => to == 0,
        Shape::Mute => from == 0,
        Shape::Bridge => {
            let half = count / 2;
            from != half && to != half && (from < half) != (to < half)
        }
        Shape::Ring => {
            let apart = from.abs_diff(to);
            apart.min(count - apart) > minority.div_ceil(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard_by(shape: Shape, who: usize, count: usize) -> Vec<usize> {
        let minority = (count - 1) / 2;
        (0..count)
            .filter(|from| *from != who && !is_cut(shape, *from, who, count, minority))
            .collect()
    }

    #[test]
    fn shapes_cut_what_they_say() {
        assert_eq!(heard_by(Shape::Minority, 0, 3), Vec::<usize>::new());
        assert_eq!(heard_by(Shape::Minority, 4, 5), [2, 3]);
        assert_eq!(heard_by(Shape::Deaf, 0, 3), Vec::<usize>::new());
        assert_eq!(heard_by(Shape::Deaf, 1, 3), [0, 2]);
        assert_eq!(heard_by(Shape::Mute, 1, 3), [2]);
        assert_eq!(heard_by(Shape::Bridge, 2, 5), [0, 1, 3, 4]);
        assert_eq!(heard_by(Shape::Bridge, 0, 5), [1, 2]);
        assert_eq!(heard_by(Shape::Bridge, 0, 3), [1]);
        assert_eq!(heard_by(Shape::Ring, 0, 5), [1, 4]);
        assert_eq!(heard_by(Shape::Shattered, 2, 5), Vec::<usize>::new());
    }
}
