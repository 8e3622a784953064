//! Pictures of a history: what was broken when, how much was done meanwhile, and how long it took.

use std::fmt::Write as _;

use crate::checker::liveness::{Outage, outages};
use crate::history::{Call, End, History};

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 420.0;
/// Around the picture, for what is written there.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;
/// More points than these are thinned out, evenly.
const POINTS_MAX: usize = 20_000;

const OK: &str = "#2a7f3e";
const FAIL: &str = "#c9302c";
const UNKNOWN: &str = "#e08e0b";

/// Operations a second by how they ended, over the faults.
pub fn timeline(history: &History) -> String {
    let calls = clients(history);
    let end_us = end_us(history);
    let seconds = usize::try_from(end_us / 1_000_000).unwrap_or(0) + 1;
    let mut ended = [vec![0_u32; seconds], vec![0; seconds], vec![0; seconds]];
    for call in &calls {
        let (kind, at_us) = match call.end {
            End::Ok { completed_us, .. } => (0, completed_us),
            End::Fail { .. } => (1, call.invoked_us),
            End::Unknown => (2, call.invoked_us),
        };
        let second = usize::try_from(at_us / 1_000_000).unwrap_or(0);
        if let Some(count) = ended.get_mut(kind).and_then(|line| line.get_mut(second)) {
            *count += 1;
        }
    }
    let most = ended.iter().flatten().copied().max().unwrap_or(0).max(1);
    let mut picture = Picture::new("Operations a second", end_us, &outages(history));
    for part in 0..=4 {
        let value = f64::from(most) * f64::from(part) / 4.0;
        picture.mark(&format!("{value:.0}"), f64::from(part) / 4.0);
    }
    let kinds = [("ok", OK), ("fail", FAIL), ("unknown", UNKNOWN)];
    for (place, (line, (name, colour))) in (0_u32..).zip(ended.iter().zip(kinds)) {
        let points = line.iter().enumerate().map(|(second, count)| {
            let at_us = (second as f64 + 0.5) * 1e6;
            (at_us, f64::from(*count) / f64::from(most))
        });
        picture.line(points, colour);
        picture.legend(place, name, colour);
    }
    picture.end()
}

/// How long each operation took, by when it began, over the faults; the scale is logarithmic.
pub fn latency(history: &History) -> String {
    /// 10 microseconds to 100 seconds.
    const DECADES: f64 = 7.0;
    let calls = clients(history);
    let mut picture = Picture::new("Latency", end_us(history), &outages(history));
    let names = [
        "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s",
    ];
    for (decade, name) in (0_u32..).zip(names) {
        picture.mark(name, f64::from(decade) / DECADES);
    }
    let every = calls.len() / POINTS_MAX + 1;
    for call in calls.iter().step_by(every) {
        if let End::Ok { completed_us, .. } = call.end {
            let took_us = completed_us.saturating_sub(call.invoked_us).max(10) as f64;
            let height = (took_us.log10() - 1.0) / DECADES;
            picture.point(call.invoked_us as f64, height, OK);
        }
    }
    for call in calls.iter().filter(|call| call.end == End::Unknown) {
        picture.point(call.invoked_us as f64, 1.0, UNKNOWN);
    }
    picture.legend(0, "ok", OK);
    picture.legend(1, "unknown, at the top", UNKNOWN);
    picture.end()
}

fn clients(history: &History) -> Vec<Call<'_>> {
    let mut calls = history.calls();
    calls.retain(|call| !call.act.is_nemesis());
    calls
}

fn end_us(history: &History) -> u64 {
    history.ops.last().map_or(1, |op| op.time_us.max(1))
}

/// An SVG in the making.
struct Picture {
    text: String,
    end_us: f64,
}

impl Picture {
    /// With a grey bar for each outage, and what was broken on it.
    fn new(title: &str, end_us: u64, outages: &[Outage]) -> Self {
        let mut picture = Self {
            text: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
                 font-family=\"sans-serif\" font-size=\"11\">\n\
                 <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
                 <text x=\"{LEFT}\" y=\"20\" font-size=\"15\">{title}</text>\n"
            ),
            end_us: end_us as f64,
        };
        for outage in outages {
            let until_us = outage.until_us.unwrap_or(end_us);
            let (from, until) = (picture.x(outage.from_us as f64), picture.x(until_us as f64));
            let (y, height) = (TOP, HEIGHT - TOP - BOTTOM);
            let width = (until - from).max(1.0);
            picture.add(&format!(
                "<rect x=\"{from:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\" \
                 fill=\"#dddddd\"><title>{}</title></rect>",
                outage.name
            ));
            if outages.len() <= 60 {
                picture.add(&format!(
                    "<text transform=\"translate({:.1},{:.1}) rotate(90)\" fill=\"#777777\" \
                     font-size=\"9\">{}</text>",
                    from + 2.0,
                    TOP + 4.0,
                    outage.name
                ));
            }
        }
        for part in 0..=10_u32 {
            let at_us = picture.end_us * f64::from(part) / 10.0;
            let (x, y) = (picture.x(at_us), HEIGHT - BOTTOM + 16.0);
            picture.add(&format!(
                "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{:.0} s</text>",
                at_us / 1e6
            ));
        }
        picture
    }

    fn x(&self, at_us: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * at_us / self.end_us
    }

    /// `height` is 0 at the bottom and 1 at the top.
    fn y(height: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height
    }

    fn add(&mut self, element: &str) {
        self.text.push_str(element);
        self.text.push('\n');
    }

    /// A value on the left, with its line.
    fn mark(&mut self, name: &str, height: f64) {
        let (x, y, right) = (LEFT - 6.0, Self::y(height), WIDTH - RIGHT);
        self.add(&format!(
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#cccccc\" \
             stroke-width=\"0.5\"/><text x=\"{x}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            y + 4.0
        ));
    }

    fn line(&mut self, points: impl Iterator<Item = (f64, f64)>, colour: &str) {
        let mut places = String::new();
        for (at_us, height) in points {
            // Writing to a string cannot fail.
            let _written = write!(places, "{:.1},{:.1} ", self.x(at_us), Self::y(height));
        }
        self.add(&format!(
            "<polyline points=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"/>"
        ));
    }

    fn point(&mut self, at_us: f64, height: f64, colour: &str) {
        let (x, y) = (self.x(at_us), Self::y(height));
        self.add(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1\" fill=\"{colour}\"/>"
        ));
    }

    fn legend(&mut self, place: u32, name: &str, colour: &str) {
        let x = WIDTH - RIGHT - 360.0 + f64::from(place) * 90.0;
        self.add(&format!(
            "<text x=\"{x}\" y=\"20\" fill=\"{colour}\">■ {name}</text>"
        ));
    }

    fn end(mut self) -> String {
        self.add("</svg>");
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::notation;

    #[test]
    fn pictures_show_faults_and_operations() {
        let history = notation::parse("1 put a 1; 1 -> ok @7");
        let timeline = timeline(&history);
        assert!(timeline.starts_with("<svg") && timeline.ends_with("</svg>\n"));
        assert!(timeline.contains("<polyline"));
        assert!(latency(&history).contains("<circle"));
    }
}
