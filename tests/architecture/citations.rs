//! Does every page and section of docs/spec that a source cites exist?

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::root;

const PAGES: &str = "docs/spec/";

/// The numbered sections of every page, by the name of its file.
type Pages = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_cited_page_and_section_exists() {
    let pages = pages();
    let mut wrong = Vec::new();
    let mut cited = BTreeSet::new();
    for source in crate::sources() {
        for (line, text) in source.text.lines().enumerate() {
            for (page, section) in citations(text) {
                cited.insert(page.clone());
                if let Some(why) = why_not(&pages, &page, section.as_deref()) {
                    wrong.push(format!("{}:{}: {why}", source.file, line + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cited.len() > 5, "the search sees no more than {cited:?}");
}

#[test]
fn every_page_is_in_the_table_of_pages_and_names_pages_that_exist() {
    let pages = pages();
    let table = fs::read_to_string(root().join(PAGES).join("README.md")).expect("the table of pages");
    for page in pages.keys().filter(|page| *page != "README.md") {
        assert!(table.contains(&format!("| {page} |")), "README.md does not name {page}");
        let text = fs::read_to_string(root().join(PAGES).join(page)).expect("a page");
        let named = text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).map(|w| w.trim_matches('.'));
        for named in named.filter(|word| word.ends_with(".md")) {
            assert!(pages.contains_key(named), "{page} names {named}, which is not there");
        }
    }
}

#[test]
fn a_wrong_citation_is_seen() {
    let pages = Pages::from([("a.md".into(), sections("## 1. One\n### 1.2 get_x / 1.3 get_y\n### 4.9-4.11 All\n"))]);
    for right in ["a.md", "a.md 1.", "a.md section 1.2", "a.md 1.3, b", "a.md 4.10 (as", "a.md. 7 things", "a.md, 3"] {
        assert_eq!(judged(&pages, right), None, "{right}");
    }
    for wrong in ["b.md", "a.md 2.", "a.md section 1.4", "a.md 4.12", "a.md 1.2.1"] {
        assert!(judged(&pages, wrong).is_some(), "{wrong}");
    }
}

fn judged(pages: &Pages, cited: &str) -> Option<String> {
    let cited = citations(&format!("/// Source: {PAGES}{cited}"));
    let [(page, section)] = &cited[..] else { panic!("{cited:?}") };
    why_not(pages, page, section.as_deref())
}

fn why_not(pages: &Pages, page: &str, section: Option<&str>) -> Option<String> {
    let Some(sections) = pages.get(page) else { return Some(format!("there is no {PAGES}{page}")) };
    let section = section.filter(|section| !sections.contains(*section))?;
    Some(format!("{PAGES}{page} has no section {section}"))
}

/// Pages named on a line, with the first section named behind each.
fn citations(line: &str) -> Vec<(String, Option<String>)> {
    let cited = line.split(PAGES).skip(1).filter_map(|rest| {
        let (page, behind) = rest.split_once(".md")?;
        let is_name = page.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let section = behind.strip_prefix(' ').map(|behind| behind.strip_prefix("section ").unwrap_or(behind));
        is_name.then(|| (format!("{page}.md"), section.and_then(number)))
    });
    cited.collect()
}

/// `4.7` at the head of a text.
fn number(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = text[..end].trim_end_matches('.');
    (!number.is_empty()).then(|| number.to_owned())
}

fn pages() -> Pages {
    let files = fs::read_dir(root().join(PAGES)).expect(PAGES).map(|entry| entry.expect("an entry").path());
    let page = |path: std::path::PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some((name, sections(&fs::read_to_string(&path).expect("a page"))))
    };
    files.filter_map(page).collect()
}

/// The numbers in the headings of a page: `4.7`, `4.14 … / 4.15 …`, `4.19-4.23`.
fn sections(page: &str) -> BTreeSet<String> {
    let mut sections = BTreeSet::new();
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    for word in
        headings.filter(|heading| heading.starts_with(|c: char| c.is_ascii_digit())).flat_map(str::split_whitespace)
    {
        match word.split_once(['-', '–']) {
            Some((first, last)) => sections.extend(range(first, last)),
            None => sections.extend(number(word)),
        }
    }
    sections
}

/// `4.19` to `4.23`.
fn range(first: &str, last: &str) -> Vec<String> {
    let parts = |text: &str| {
        let (chapter, part) = text.rsplit_once('.')?;
        Some((chapter.to_owned(), part.parse::<u32>().ok()?))
    };
    match (parts(first), parts(last)) {
        (Some((chapter, from)), Some((_, to))) => (from..=to).map(|part| format!("{chapter}.{part}")).collect(),
        _ => Vec::new(),
    }
}
