//! Bars: what a figure has to reach, and whether it does. Also the few sums that figures of several rounds need.

use serde::Serialize;

/// Which side of a bar is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    AtLeast,
    AtMost,
}

/// What came of comparing a figure with its bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Missed,
    Met,
    /// Better than the goal, which lies beyond the bar.
    GoalMet,
    /// There is no figure, or one that was taken under other conditions than the bar is about.
    NotJudged,
}

/// A figure with what it must reach.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    pub name: String,
    /// Of the limits and of the figure; empty for a ratio.
    pub unit: &'static str,
    pub side: Side,
    /// Inclusive.
    pub must: f64,
    /// Inclusive.
    pub goal: Option<f64>,
    pub measured: Option<f64>,
    /// Why the figure is shown but not judged.
    pub not_judged: Option<String>,
}

impl Bar {
    pub fn at_least(name: impl Into<String>, unit: &'static str, must: f64) -> Self {
        Self::new(name.into(), unit, Side::AtLeast, must)
    }

    pub fn at_most(name: impl Into<String>, unit: &'static str, must: f64) -> Self {
        Self::new(name.into(), unit, Side::AtMost, must)
    }

    fn new(name: String, unit: &'static str, side: Side, must: f64) -> Self {
        Self { name, unit, side, must, goal: None, measured: None, not_judged: None }
    }

    pub fn goal(self, goal: f64) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// Sets the figure; one that is no number counts as missing.
    pub fn measured(self, figure: impl Into<Option<f64>>) -> Self {
        Self { measured: figure.into().filter(|figure| figure.is_finite()), ..self }
    }

    /// Keeps the figure from being judged, if there is a reason.
    pub fn unless(self, reason: Option<impl Into<String>>) -> Self {
        Self { not_judged: reason.map(Into::into), ..self }
    }

    pub fn verdict(&self) -> Verdict {
        let Some(figure) = self.measured.filter(|_| self.not_judged.is_none()) else { return Verdict::NotJudged };
        let reaches = |limit: f64| match self.side {
            Side::AtLeast => figure >= limit,
            Side::AtMost => figure <= limit,
        };
        match (reaches(self.must), self.goal.is_some_and(reaches)) {
            (false, _) => Verdict::Missed,
            (true, false) => Verdict::Met,
            (true, true) => Verdict::GoalMet,
        }
    }
}

/// The middle one; of an even number of values, halfway between the middle two. `None` of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// How much y grows with each x, by least squares. `None` unless two points differ in x.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let shared: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (spread > 0.0).then(|| shared / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive_on_both_sides() {
        let ratio = |figure| Bar::at_least("ratio", "", 4.0).goal(6.0).measured(figure).verdict();
        assert_eq!([ratio(3.99), ratio(4.0), ratio(5.99)], [Verdict::Missed, Verdict::Met, Verdict::Met]);
        assert_eq!(ratio(6.0), Verdict::GoalMet);
        let time = |figure| Bar::at_most("restart", "s", 5.0).measured(figure).verdict();
        assert_eq!([time(5.0), time(5.01)], [Verdict::Met, Verdict::Missed]);
    }

    #[test]
    fn what_is_no_number_or_has_a_reason_is_not_judged() {
        let bar = || Bar::at_most("restart", "s", 5.0);
        assert_eq!(bar().verdict(), Verdict::NotJudged);
        assert_eq!(bar().measured(f64::NAN).verdict(), Verdict::NotJudged);
        assert_eq!(bar().measured(1.0).unless(Some("small scale")).verdict(), Verdict::NotJudged);
        assert_eq!(bar().measured(1.0).unless(None::<String>).verdict(), Verdict::Met);
    }

    #[test]
    fn medians() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn slopes() {
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]), Some(2.0));
        assert_eq!(slope(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)]), Some(0.0));
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(slope(&[]), None);
    }
}
