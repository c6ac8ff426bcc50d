//! The page: first whether the bars are met, then every part. One file that needs nothing else.

use std::fmt::Write as _;

use muster::bench::bar::{Bar, Side, Verdict};

use crate::figures::{Block, Cell, Column, Part, Plot, Table};
use crate::{Bench, Outcome, plot};

const STYLE: &str = include_str!("page.css");

/// Writes the page.
///
/// # Errors
/// If a plot cannot be drawn.
pub fn render(bench: &Bench, parts: &[Part]) -> Outcome<String> {
    let mut out = String::new();
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Muster: figures</title>\n\
         <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<h1>Muster: figures</h1>\n",
        series_style()
    )?;
    // The others are in the first part.
    let facts = bench.machine.iter().filter(|(name, _)| ["Date", "Commit", "Processor"].contains(name));
    let facts: Vec<&str> = facts.map(|(_, fact)| fact.as_str()).collect();
    writeln!(out, "<p class=\"note\">{}</p>", escape(&facts.join(" · ")))?;
    if bench.settings.quick {
        out.push_str(
            "<p class=\"warning\">Quick scale: every part was exercised, and no figure here is a measurement.</p>\n",
        );
    }
    for part in parts.iter().filter(|part| part.failure.is_some()) {
        let failure = part.failure.as_deref().unwrap_or_default();
        writeln!(out, "<p class=\"warning\">{} failed: {}</p>", link(part), escape(failure))?;
    }
    bars(&mut out, parts)?;
    for part in parts {
        section(&mut out, part)?;
    }
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(out)
}

fn link(part: &Part) -> String {
    format!("<a href=\"#{}\">{}</a>", part.name, escape(part.title))
}

fn bars(out: &mut String, parts: &[Part]) -> Outcome<()> {
    if parts.iter().all(|part| part.bars.is_empty()) {
        return Ok(());
    }
    out.push_str(
        "<h2>Bars</h2>\n<div class=\"wide\"><table class=\"bars\">\n<thead><tr><th>Figure</th><th class=\"n\">Must</th>\
         <th class=\"n\">Goal</th><th class=\"n\">Measured</th><th>Verdict</th></tr></thead>\n<tbody>\n",
    );
    for part in parts {
        for bar in &part.bars {
            bar_row(out, part, bar)?;
        }
    }
    out.push_str("</tbody></table></div>\n");
    Ok(())
}

fn bar_row(out: &mut String, part: &Part, bar: &Bar) -> Outcome<()> {
    let sign = match bar.side {
        Side::AtLeast => "≥",
        Side::AtMost => "≤",
    };
    let figure = |figure: Option<f64>| figure.map_or_else(|| "–".to_owned(), |figure| with_unit(figure, bar.unit));
    let limit = |limit: Option<f64>| {
        limit.map_or_else(String::new, |limit| format!("{sign} {}{}", plain(limit), unit_of(bar.unit)))
    };
    let verdict = match (bar.verdict(), &bar.not_judged) {
        (Verdict::NotJudged, Some(why)) if bar.measured.is_some() => {
            format!("<span class=\"unknown\">{}</span>", escape(why))
        }
        (verdict, _) => verdict_text(verdict),
    };
    writeln!(
        out,
        "<tr><td><a href=\"#{}\">{}</a></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{verdict}</td></tr>",
        part.name,
        escape(&bar.name),
        limit(Some(bar.must)),
        limit(bar.goal),
        figure(bar.measured),
    )?;
    Ok(())
}

fn verdict_text(verdict: Verdict) -> String {
    let (class, text) = match verdict {
        Verdict::Missed => ("missed", "missed"),
        Verdict::Met => ("met", "met"),
        Verdict::GoalMet => ("met", "goal met"),
        Verdict::NotJudged => ("unknown", "not measured"),
    };
    format!("<span class=\"{class}\">{text}</span>")
}

fn section(out: &mut String, part: &Part) -> Outcome<()> {
    writeln!(out, "<section id=\"{}\">\n<h2>{}</h2>", part.name, escape(part.title))?;
    if !part.about.is_empty() {
        writeln!(out, "<p>{}</p>", prose(&part.about))?;
    }
    if let Some(failure) = &part.failure {
        writeln!(out, "<p class=\"warning\">Failed: {}</p>", escape(failure))?;
    }
    for block in &part.blocks {
        match block {
            Block::Table(table) => show_table(out, table)?,
            Block::Plot(plot) => show_plot(out, plot)?,
            Block::Note { text } => writeln!(out, "<p class=\"note\">{}</p>", prose(text))?,
        }
    }
    writeln!(
        out,
        "<p class=\"command\"><code>{}</code> <span>took {} s</span></p>\n</section>",
        escape(&part.command),
        grouped(part.seconds, usize::from(part.seconds < 10.0))
    )?;
    Ok(())
}

fn show_table(out: &mut String, table: &Table) -> Outcome<()> {
    let is_number: Vec<bool> = (0..table.columns.len())
        .map(|column| table.rows.iter().any(|row| matches!(row.get(column), Some(Cell::Number(_)))))
        .collect();
    let class = |column: usize| if is_number[column] { " class=\"n\"" } else { "" };
    if !table.caption.is_empty() {
        writeln!(out, "<h3>{}</h3>", prose(&table.caption))?;
    }
    out.push_str("<div class=\"wide\"><table>\n");
    if table.columns.iter().any(|column| !column.name.is_empty()) {
        out.push_str("<thead><tr>");
        for (index, column) in table.columns.iter().enumerate() {
            write!(out, "<th{}>{}{}</th>", class(index), escape(&column.name), unit(column))?;
        }
        out.push_str("</tr></thead>\n");
    }
    out.push_str("<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (index, (cell, column)) in row.iter().zip(&table.columns).enumerate() {
            write!(out, "<td{}>{}</td>", class(index), cell_text(cell, column))?;
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    Ok(())
}

fn unit(column: &Column) -> String {
    if column.unit.is_empty() { String::new() } else { format!("<br><small>{}</small>", escape(column.unit)) }
}

fn cell_text(cell: &Cell, column: &Column) -> String {
    match cell {
        Cell::Text(text) => prose(text),
        Cell::Number(number) => grouped(*number, column.decimals),
        Cell::Verdict(verdict) => verdict_text(*verdict),
        Cell::Nothing => "–".to_owned(),
    }
}

fn show_plot(out: &mut String, plot: &Plot) -> Outcome<()> {
    // The page gives it its size; the caption says what it shows.
    let svg = plot::svg(plot)?;
    let svg = svg.find("viewBox").map_or(svg.as_str(), |place| &svg[place..]);
    write!(out, "<figure>\n<figcaption>{}", prose(&plot.caption))?;
    if plot.series.len() > 1 {
        out.push_str("<ul class=\"legend\">");
        for (number, series) in plot.series.iter().enumerate() {
            write!(out, "<li class=\"s{}\">{}</li>", number % plot::SERIES.len(), escape(&series.name))?;
        }
        out.push_str("</ul>");
    }
    writeln!(out, "</figcaption>\n<svg role=\"img\" aria-label=\"{}\" {svg}</figure>", escape(&plot.caption))?;
    Ok(())
}

/// Ties the fixed colours of the plots to those of the page.
fn series_style() -> String {
    let mut out = String::new();
    let mut tie = |color: plotters::style::RGBColor, name: &str| {
        let hex = format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2);
        // Infallible: a string takes every text.
        let _ =
            writeln!(out, "svg [stroke=\"{hex}\"]{{stroke:var(--{name})}}svg [fill=\"{hex}\"]{{fill:var(--{name})}}");
    };
    tie(plot::TEXT, "dim");
    tie(plot::GRID, "line");
    for (number, color) in plot::SERIES.into_iter().enumerate() {
        tie(color, &format!("s{number}"));
    }
    for number in 0..plot::SERIES.len() {
        let _ = writeln!(out, ".legend .s{number}::before{{background:var(--s{number})}}");
    }
    out
}

/// A figure of a bar: three digits that count, and its unit.
fn with_unit(figure: f64, unit: &str) -> String {
    let decimals = match figure.abs() {
        size if size >= 100.0 || figure.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    grouped(figure, decimals) + &unit_of(unit)
}

fn unit_of(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!("\u{a0}{unit}") }
}

/// A number in as few characters as it needs: 0.05, 2, 500, 20,000.
pub fn plain(value: f64) -> String {
    let text = grouped(value, if value >= 100.0 { 0 } else { 3 });
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A number with commas between thousands.
pub fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    if value < 0.0 {
        out.push('−');
    }
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escapes, and sets what stands between backquotes as code.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for (number, piece) in escape(text).split('`').enumerate() {
        let _ = if number % 2 == 1 { write!(out, "<code>{piece}</code>") } else { write!(out, "{piece}") };
    }
    out
}
