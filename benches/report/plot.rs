//! Draws a plot as SVG. Colours are fixed here and given their meaning by the style sheet of the page, which has others
//! for dark screens.

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::Outcome;
use crate::figures::{Axis, Plot, Scale};
use crate::page::plain;

/// Drawn at twice the size it is shown at: the backend rounds to whole pixels.
const SIZE: (u32, u32) = (1440, 600);
const FONT_SIZE: i32 = 34;
/// Lines of few points show them.
const DOTS_MAX: usize = 16;
const TICKS_MAX: f64 = 6.0;

pub const TEXT: RGBColor = RGBColor(0x55, 0x55, 0x56);
pub const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe5);
/// Told apart by eyes of every kind. Source: Okabe and Ito, "Color universal design", 2008.
pub const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x9a, 0x7d, 0x0a),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// An axis with its range, and where its labels stand: the values of both, not their places.
#[derive(Clone)]
struct Drawn<'a> {
    axis: &'a Axis,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Ranged for Drawn<'_> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let [from, to, place] = [self.from, self.to, *value].map(|value| self.axis.place(value));
        let share = (place - from) / (to - from);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Drawn<'_> {
    fn format_ext(&self, value: &f64) -> String {
        match self.axis.scale {
            Scale::Linear | Scale::Log => plain(*value),
            Scale::Tail => format!("{} %", plain(100.0 * value)),
        }
    }
}

/// Draws a plot.
///
/// # Errors
/// If the library refuses.
pub fn svg(plot: &Plot) -> Outcome<String> {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let x = Drawn::of(&plot.x, points().map(|(x, _)| *x));
    let y = Drawn::of(&plot.y, points().map(|(_, y)| *y));
    let mut out = String::new();
    {
        let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(16)
            .margin_right(64)
            .x_label_area_size(100)
            .y_label_area_size(150)
            .build_cartesian_2d(x, y)?;
        let font = ("sans-serif", FONT_SIZE).into_font().color(&TEXT);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(GRID.stroke_width(2))
            .x_desc(plot.x.label)
            .y_desc(plot.y.label)
            .label_style(font.clone())
            .axis_desc_style(font)
            .draw()?;
        for (series, color) in plot.series.iter().zip(SERIES.iter().cycle()) {
            if series.points.len() <= DOTS_MAX {
                chart.draw_series(series.points.iter().map(|point| Circle::new(*point, 6, color.filled())))?;
            }
            chart.draw_series(LineSeries::new(series.points.iter().copied(), color.stroke_width(3)))?;
        }
        root.present()?;
    }
    Ok(out)
}

impl Axis {
    /// Where a value lies.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
            Scale::Tail => -(1.0 - value).log10(),
        }
    }
}

impl<'a> Drawn<'a> {
    fn of(axis: &'a Axis, values: impl Iterator<Item = f64>) -> Self {
        // What is not above 0 has no place on such an axis.
        let values = values.filter(|value| axis.scale != Scale::Log || *value > 0.0);
        let (lowest, highest) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if !highest.is_finite() {
            return Self { axis, from: 0.1, to: 1.0, ticks: vec![0.1, 1.0] };
        }
        match axis.scale {
            Scale::Linear => Self::linear(axis, highest),
            Scale::Log => Self::log(axis, lowest, highest),
            Scale::Tail => {
                let to = highest.max(0.9);
                let ticks = [0.5, 0.9, 0.99, 0.999, 0.9999].into_iter().filter(|tick| *tick <= to);
                Self { axis, from: 0.5, to, ticks: ticks.collect() }
            }
        }
    }

    /// From 0 to a round number.
    fn linear(axis: &'a Axis, highest: f64) -> Self {
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let least = highest / TICKS_MAX;
        let power = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= least);
        let step = step.unwrap_or(least);
        let count = (highest / step).ceil() as u64;
        Self { axis, from: 0.0, to: count as f64 * step, ticks: (0..=count).map(|n| n as f64 * step).collect() }
    }

    /// Between round numbers; labels at powers of ten, and at 2 and 5 between them where there are few.
    fn log(axis: &'a Axis, lowest: f64, highest: f64) -> Self {
        let (first, last) = (lowest.log10().floor() as i32, highest.log10().ceil() as i32);
        let steps: &[f64] = if last - first <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let round: Vec<f64> =
            (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power))).collect();
        let from = round.iter().copied().rfind(|value| *value <= lowest).unwrap_or(lowest);
        // Two labels at least.
        let to = round.iter().copied().find(|value| *value >= highest && *value > from).unwrap_or(from * 10.0);
        Self { axis, from, to, ticks: round.into_iter().filter(|tick| (from..=to).contains(tick)).collect() }
    }
}
