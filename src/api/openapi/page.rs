//! The page for people: `docs/api.md`, of the same descriptions as the document.
//!
//! A test holds the file to what is written here; `make docs` writes it anew.

use std::fmt::Write;

use super::operations::{FOR_OPERATORS, service};
use super::schemas::named_shapes;
use super::{TOPICS, document};
use crate::api::about::{About, COMMON, Field, Is, Need, OF_A_GROUP, Shape, Topic, prose};
use crate::api::{ENDPOINTS, Endpoint};

/// Set, the test writes the file instead of comparing it.
const REWRITE: &str = "MUSTER_REWRITE_DOCS";
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md");

/// What all commands share, written by hand; the list of chapters stands in the place of [`CHAPTERS`].
const CONVENTIONS: &str = include_str!("conventions.md");
const CHAPTERS: &str = "<!-- chapters -->\n";

#[test]
fn the_page_is_what_the_code_says() {
    let page = page();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(FILE, &page).expect("docs/api.md can be written");
        return;
    }
    let file = std::fs::read_to_string(FILE).expect("docs/api.md");
    let differs = file.lines().zip(page.lines()).position(|(is, should)| is != should);
    let differs = differs.unwrap_or(file.lines().count().min(page.lines().count())) + 1;
    assert!(file == page, "docs/api.md differs from the code in line {differs}; `make docs` writes it anew");
}

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let page = page();
    let anchors: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|title| title.trim_start_matches('#').trim().to_lowercase().replace(' ', "-").replace('`', ""))
        .collect();
    for link in page.split("](#").skip(1).filter_map(|rest| rest.split_once(')')) {
        assert!(anchors.iter().any(|anchor| anchor == link.0), "#{}: no such chapter", link.0);
    }
}

#[test]
fn the_document_has_every_command() {
    let document: serde_json::Value = serde_json::from_slice(&document()).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    for (name, endpoint, _) in ENDPOINTS {
        let operation = &document["paths"][format!("/v4/{}/{name}", service(endpoint.family()))]["post"];
        assert_eq!(operation["operationId"], name);
    }
}

/// Words that look like the key of a setting and are none.
const NO_SETTINGS: [&str; 2] = ["openapi.json", "muster.example.toml"];

#[test]
fn every_setting_that_is_named_exists() {
    let settings: Vec<String> = crate::config::default_settings().into_iter().map(|(key, _)| key).collect();
    let page = page();
    let looks_like_one =
        |word: &&str| word.contains('.') && word.bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b));
    let quoted = page.split('`').skip(1).step_by(2).map(|code| code.split(" = ").next().unwrap_or(code));
    for word in quoted.filter(looks_like_one).filter(|word| !NO_SETTINGS.contains(word)) {
        let is_known = settings.iter().any(|key| key == word || key.starts_with(&format!("{word}.")));
        assert!(is_known, "{word}: no such setting");
    }
}

fn page() -> String {
    let mut out = CONVENTIONS.replace(CHAPTERS, &chapters());
    out += "\n**Codes.** These may come from any command; the chapters name further ones.\n\n";
    codes(&mut out, COMMON);
    out += "\nA command that takes `GroupId` may also answer:\n\n";
    codes(&mut out, OF_A_GROUP);
    for topic in TOPICS {
        let _ = writeln!(out, "\n## {}\n\n{}", topic.title(), topic.means());
        for (name, endpoint, changes) in of_topic(topic) {
            command(&mut out, name, endpoint, changes);
        }
    }
    objects(&mut out);
    out += "\n## For those who run a node\n\nNo signature, and HTTP statuses mean what they say.\n\n| Address | |\n|---|---|\n";
    for (path, _, summary) in FOR_OPERATORS {
        let _ = writeln!(out, "| `GET {path}` | {summary} |");
    }
    out
}

fn chapters() -> String {
    let mut out = String::new();
    for topic in TOPICS {
        let names: Vec<String> = of_topic(topic).map(|(name, ..)| format!("[{name}](#{name})")).collect();
        let _ = writeln!(out, "- {}: {}", topic.title(), names.join(", "));
    }
    out += "- [Objects](#objects) that several commands share\n";
    out + "- [For those who run a node](#for-those-who-run-a-node)\n"
}

fn of_topic(topic: Topic) -> impl Iterator<Item = (&'static str, Endpoint, bool)> {
    ENDPOINTS.into_iter().filter(move |(_, endpoint, _)| endpoint.about().topic == topic)
}

fn codes(out: &mut String, codes: &[(u32, &str)]) {
    *out += "| Code | Meaning |\n|---|---|\n";
    for (code, why) in codes {
        let _ = writeln!(out, "| {code} | {} |", prose(why));
    }
}

fn command(out: &mut String, name: &str, endpoint: Endpoint, changes: bool) {
    let about = endpoint.about();
    let _ = writeln!(out, "\n### {name}\n\n{}", about.summary);
    for note in about.notes {
        let _ = writeln!(out, "{}", prose(note));
    }
    let service = service(endpoint.family());
    let _ = writeln!(out, "\n`POST /v4/{service}/{name}`{}\n", if changes { " · *changes*" } else { "" });
    table(out, &about.request);
    answer(out, about);
    refusals(out, about);
    let _ = writeln!(out, "\n```json\n{}\n```", about.example.request);
    if about.example.answer != "{}" {
        let _ = writeln!(out, "\n```json\n{}\n```", about.example.answer);
    }
}

fn answer(out: &mut String, about: &About) {
    if about.answer.all().is_empty() {
        *out += "\nNo further field in the answer.\n";
        return;
    }
    *out += "\nAnswer:\n\n";
    table(out, &about.answer);
}

fn refusals(out: &mut String, about: &About) {
    if about.refusals.is_empty() {
        return;
    }
    *out += "\nRefused:\n\n";
    for (code, why) in about.refusals {
        let _ = writeln!(out, "- {code}: {}", prose(why));
    }
}

fn objects(out: &mut String) {
    *out += "\n## Objects\n\nWhat several commands take or answer.\n";
    for shape in named_shapes() {
        let _ = writeln!(out, "\n### {}\n\n{}\n", shape.name, prose(shape.means));
        table(out, shape);
    }
}

/// The fields of an object, one line each; those of an object without a name stand below it, with its name in front.
fn table(out: &mut String, shape: &Shape) {
    *out += "| Field | Type | Required | Meaning |\n|---|---|---|---|\n";
    rows(out, shape, "");
}

fn rows(out: &mut String, shape: &Shape, before: &str) {
    for field in shape.fields {
        row(out, field, before);
        if let Some((shape, brackets)) = unnamed(field.is) {
            rows(out, shape, &format!("{before}{}{brackets}.", field.name));
        }
    }
    for shape in shape.with {
        let _ = writeln!(out, "| all of [{}](#{}) | | | |", shape.name, shape.name.to_lowercase());
    }
}

fn row(out: &mut String, field: &Field, before: &str) {
    let need = match field.need {
        Need::Always => "yes".to_owned(),
        Need::Sometimes => String::new(),
        Need::Unless(other) => format!("unless `{other}`"),
    };
    let mut meaning = field.meaning();
    if !field.also.is_empty() {
        let names: Vec<String> = field.also.iter().map(|name| format!("`{name}`")).collect();
        meaning += &format!(". Also taken as {}", names.join(" or "));
    }
    let _ = writeln!(out, "| `{before}{}` | {} | {need} | {meaning} |", field.name, kind(field.is));
}

/// The object without a name that a field holds, and what stands for a list of it.
fn unnamed(is: Is) -> Option<(&'static Shape, &'static str)> {
    match is {
        Is::Object(shape) if shape.name.is_empty() => Some((shape, "")),
        Is::List(Is::Object(shape)) if shape.name.is_empty() => Some((shape, "[]")),
        _ => None,
    }
}

fn kind(is: Is) -> String {
    match is {
        Is::Text | Is::GroupId | Is::TopicId => "text".to_owned(),
        Is::Account => "account".to_owned(),
        Is::Integer(min, max @ 0..=3) => (min..=max).map(|number| number.to_string()).collect::<Vec<_>>().join(", "),
        Is::Integer(1, max) => format!("1 to {max}"),
        Is::Integer(..) | Is::Signed => "integer".to_owned(),
        Is::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Is::Scalar => "text, number or boolean".to_owned(),
        Is::Object(shape) if shape.name.is_empty() => "object".to_owned(),
        Is::Object(shape) => format!("[{}](#{})", shape.name, shape.name.to_lowercase()),
        Is::List(item) if matches!(item, Is::Word(_)) => format!("list of: {}", kind(*item)),
        Is::List(item) => format!("list of {}", plural(kind(*item))),
    }
}

fn plural(kind: String) -> String {
    match kind.as_str() {
        "text" | "account" | "object" => kind + "s",
        _ => kind,
    }
}
