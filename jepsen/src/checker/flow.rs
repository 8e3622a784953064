//! What must and what may have been added to a number by some time.

/// Additions over time. Times are places in a history.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Acknowledged additions: when, gain, loss; after [`seal`](Self::seal) sums of all until then.
    certain: Vec<(usize, i128, i128)>,
    /// All additions that may have happened, by their beginnings; sums too.
    begun: Vec<(usize, i128, i128)>,
}

impl Flow {
    /// An addition that was not refused.
    pub(super) fn add(&mut self, invoked_at: usize, acknowledged_at: Option<usize>, by: i64) {
        let (gain, loss) = (i128::from(by.max(0)), i128::from(by.min(0)));
        self.begun.push((invoked_at, gain, loss));
        if let Some(acknowledged_at) = acknowledged_at {
            self.certain.push((acknowledged_at, gain, loss));
        }
    }

    /// All additions are known.
    pub(super) fn seal(&mut self) {
        for sums in [&mut self.certain, &mut self.begun] {
            sums.sort_unstable();
            let (mut gains, mut losses) = (0, 0);
            for (_, gain, loss) in sums {
                gains += *gain;
                losses += *loss;
                (*gain, *loss) = (gains, losses);
            }
        }
    }

    /// The lowest and the highest sum that a read in this time can have seen.
    pub(super) fn bounds(&self, invoked_at: usize, completed_at: usize) -> (i128, i128) {
        let (certain_gain, certain_loss) = sums_before(&self.certain, invoked_at);
        let (begun_gain, begun_loss) = sums_before(&self.begun, completed_at);
        (certain_gain + begun_loss, begun_gain + certain_loss)
    }
}

fn sums_before(sums: &[(usize, i128, i128)], time: usize) -> (i128, i128) {
    let count = sums.partition_point(|(at, ..)| *at < time);
    match count.checked_sub(1).and_then(|last| sums.get(last)) {
        Some((_, gain, loss)) => (*gain, *loss),
        None => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_what_is_certain_and_widen_by_what_is_open() {
        let mut flow = Flow::default();
        flow.add(0, Some(1), 10);
        flow.add(2, Some(5), -3);
        flow.add(3, None, 4);
        flow.add(7, Some(8), 100);
        flow.seal();
        assert_eq!(flow.bounds(0, 0), (0, 0));
        assert_eq!(flow.bounds(0, 1), (0, 10));
        assert_eq!(flow.bounds(4, 6), (7, 14));
        assert_eq!(flow.bounds(6, 7), (7, 11));
        assert_eq!(flow.bounds(9, 10), (107, 111));
    }
}
