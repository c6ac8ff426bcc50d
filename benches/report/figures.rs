//! What a part of the report found out, before anything is drawn: the same values go into the page and into the JSON.

use std::fmt::Display;

use muster::bench::Latencies;
use muster::bench::bar::{Bar, Verdict};
use serde::Serialize;
use serde_json::Value;

/// Bytes in the unit of most of them.
pub const MIB: f64 = 1024.0 * 1024.0;

/// One part of the report.
#[derive(Debug, Serialize)]
pub struct Part {
    pub name: &'static str,
    pub title: &'static str,
    /// What is measured, in a few sentences.
    pub about: String,
    /// Measures it again.
    pub command: String,
    pub seconds: f64,
    /// Why it is not complete.
    pub failure: Option<String>,
    pub bars: Vec<Bar>,
    pub blocks: Vec<Block>,
    /// Lines of the harness as they came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Value>,
}

/// Something on the page.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    Table(Table),
    Plot(Plot),
    Note { text: String },
}

/// Rows of cells under heads.
#[derive(Debug, Serialize)]
pub struct Table {
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Serialize)]
pub struct Column {
    pub name: String,
    /// Of every number in the column; empty if there is none.
    pub unit: &'static str,
    /// Decimals that mean something.
    #[serde(skip)]
    pub decimals: usize,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Cell {
    Text(String),
    Number(f64),
    Verdict(Verdict),
    Nothing,
}

/// Lines in one pair of axes.
#[derive(Debug, Serialize)]
pub struct Plot {
    pub caption: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Axis {
    pub label: &'static str,
    pub scale: Scale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// From 0.
    Linear,
    Log,
    /// Of shares from 0 to below 1: as far from 0.99 to 0.999 as from 0.9 to 0.99.
    Tail,
}

#[derive(Debug, Serialize)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

impl Part {
    pub fn table(&mut self, caption: &str, columns: &[(&str, &'static str, usize)]) -> &mut Table {
        let columns = columns
            .iter()
            .map(|(name, unit, decimals)| Column { name: (*name).to_owned(), unit, decimals: *decimals })
            .collect();
        self.blocks.push(Block::Table(Table { caption: caption.to_owned(), columns, rows: Vec::new() }));
        match self.blocks.last_mut() {
            Some(Block::Table(table)) => table,
            _ => unreachable!("it was pushed in the line before"),
        }
    }

    pub fn plot(&mut self, caption: &str, x: Axis, y: Axis, series: Vec<Series>) {
        self.blocks.push(Block::Plot(Plot { caption: caption.to_owned(), x, y, series }));
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Note { text: text.into() });
    }
}

impl Table {
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Axis {
    pub fn linear(label: &'static str) -> Self {
        Self { label, scale: Scale::Linear }
    }

    pub fn log(label: &'static str) -> Self {
        Self { label, scale: Scale::Log }
    }

    pub fn tail(label: &'static str) -> Self {
        Self { label, scale: Scale::Tail }
    }
}

impl Series {
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect() }
    }

    /// Latency by percentile.
    pub fn of_latencies(name: impl Into<String>, latencies: &Latencies) -> Self {
        let Latencies { p50_ms, p95_ms, p99_ms, p999_ms, .. } = *latencies;
        Self::new(name, [(0.5, p50_ms), (0.95, p95_ms), (0.99, p99_ms), (0.999, p999_ms)])
    }
}

/// A cell with a text.
pub fn text(text: impl Display) -> Cell {
    Cell::Text(text.to_string())
}

/// A cell with a number, or with nothing.
pub fn number(number: impl Into<Option<f64>>) -> Cell {
    match number.into() {
        Some(number) if number.is_finite() => Cell::Number(number),
        _ => Cell::Nothing,
    }
}
