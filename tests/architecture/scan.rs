//! Finds what a source file refers to: its `use` lines and the paths in its code.
//!
//! It works on tokens, so comments and text in quotes are not references, and code inside macro calls is.
//! It does not know types or traits: a method called on a value is no reference.

use std::collections::HashMap;

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};

/// How often a name may lead to another name before the search gives up.
const ALIAS_STEPS_MAX: usize = 8;

/// A path that a file mentions, resolved as far as the file itself tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `crate::…` inside the crate, otherwise beginning with the name of another one; `*` ends a glob.
    pub path: Vec<String>,
    pub line: usize,
    /// Stands under `#[cfg(test)]`.
    pub test: bool,
    /// Stands in a `use` line.
    pub import: bool,
}

/// A file as the rules see it.
#[derive(Debug, Default)]
pub struct Scan {
    pub references: Vec<Reference>,
    /// Modules declared here under `#[cfg(test)]`, whose code is elsewhere.
    pub test_files: Vec<String>,
}

/// Scans the text of a file that is module `module` of its crate (`["group", "mute"]`; root: empty).
///
/// # Errors
/// Text that is not made of Rust tokens.
pub fn scan(text: &str, module: &[&str]) -> Result<Scan, String> {
    let tokens: TokenStream = text.parse().map_err(|e| format!("not Rust: {e}"))?;
    let mut walker = Walker::default();
    let mut at: Vec<String> = module.iter().map(|s| (*s).to_owned()).collect();
    walker.walk(tokens, &mut at, false);
    Ok(walker.finish())
}

#[derive(Default)]
struct Walker {
    found: Vec<Found>,
    /// Name in this file → the path it stands for.
    aliases: HashMap<String, Vec<String>>,
    test_files: Vec<String>,
}

struct Found {
    /// As written, after `self` and `super` are taken away.
    path: Vec<String>,
    line: usize,
    test: bool,
    import: bool,
}

impl Walker {
    fn walk(&mut self, tokens: TokenStream, module: &mut Vec<String>, outer_test: bool) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut outer_test = outer_test;
        let mut item_test = false;
        let mut i = 0;
        while i < trees.len() {
            let test = outer_test || item_test;
            match &trees[i] {
                TokenTree::Punct(p) if p.as_char() == '#' => {
                    let inner = matches!(trees.get(i + 1), Some(TokenTree::Punct(p)) if p.as_char() == '!');
                    let at = i + 1 + usize::from(inner);
                    let Some(TokenTree::Group(attribute)) = trees.get(at) else {
                        i += 1;
                        continue;
                    };
                    if is_cfg_test(attribute.stream()) {
                        if inner { outer_test = true } else { item_test = true }
                    }
                    self.derives(attribute.stream(), module, test);
                    i = at + 1;
                }
                TokenTree::Ident(word) if word == "use" && !is_punct(trees.get(i + 1), '<') => {
                    let end = (i..trees.len()).find(|&k| is_punct(trees.get(k), ';')).unwrap_or(trees.len());
                    self.import(&trees[i + 1..end], Vec::new(), module, word.span().start().line, test);
                    item_test = false;
                    i = end + 1;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    if let (Some(TokenTree::Ident(name)), body) = (trees.get(i + 1), trees.get(i + 2)) {
                        self.module(name, body, module, test);
                        item_test = false;
                        i += 3;
                    } else {
                        i += 1;
                    }
                }
                // The scope of a visibility is not a reference: `pub(in crate::actors)`.
                TokenTree::Ident(word) if word == "pub" && matches!(trees.get(i + 1), Some(TokenTree::Group(_))) => {
                    i += 2;
                }
                TokenTree::Ident(_) => i = self.path(&trees, i, module, test),
                TokenTree::Group(group) => {
                    self.walk(group.stream(), module, test);
                    item_test &= group.delimiter() != Delimiter::Brace;
                    i += 1;
                }
                TokenTree::Punct(p) => {
                    item_test &= p.as_char() != ';';
                    i += 1;
                }
                TokenTree::Literal(_) => i += 1,
            }
        }
    }

    fn module(&mut self, name: &Ident, body: Option<&TokenTree>, module: &mut Vec<String>, test: bool) {
        module.push(name_of(name));
        match body {
            Some(TokenTree::Group(body)) => self.walk(body.stream(), module, test),
            _ => {
                // `mod mute;` makes `mute::decide` a path into this crate.
                self.aliases.insert(name_of(name), rooted(module));
                if test {
                    self.test_files.push(name_of(name));
                }
            }
        }
        module.pop();
    }

    /// `#[derive(serde::Serialize)]` refers to serde; other attributes name lints and options.
    fn derives(&mut self, attribute: TokenStream, module: &mut Vec<String>, test: bool) {
        let trees: Vec<TokenTree> = attribute.into_iter().collect();
        if let [TokenTree::Ident(word), TokenTree::Group(list)] = trees.as_slice()
            && word == "derive"
        {
            self.walk(list.stream(), module, test);
        }
    }

    /// Reads a path that begins at `trees[start]` and returns where it ends.
    fn path(&mut self, trees: &[TokenTree], start: usize, module: &[String], test: bool) -> usize {
        let TokenTree::Ident(first) = &trees[start] else { return start + 1 };
        let mut path = vec![name_of(first)];
        let mut i = start + 1;
        while is_path_sep(trees, i) {
            let Some(TokenTree::Ident(next)) = trees.get(i + 2) else { break };
            path.push(name_of(next));
            i += 3;
        }
        let is_field =
            start > 0 && is_punct(trees.get(start - 1), '.') && !(start > 1 && is_punct(trees.get(start - 2), '.'));
        if !is_field {
            self.found.push(Found {
                path: absolute(path, module),
                line: first.span().start().line,
                test,
                import: false,
            });
        }
        i
    }

    /// Reads one `use` tree; `prefix` is what stands before its braces.
    fn import(&mut self, trees: &[TokenTree], prefix: Vec<String>, module: &mut Vec<String>, line: usize, test: bool) {
        let mut path = prefix;
        let mut i = 0;
        while let Some(tree) = trees.get(i) {
            match tree {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) => path.push(name_of(word)),
                TokenTree::Punct(p) if p.as_char() == '*' => path.push("*".to_owned()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for part in inner.split(|t| is_punct(Some(t), ',')).filter(|part| !part.is_empty()) {
                        self.import(part, path.clone(), module, line, test);
                    }
                    return;
                }
                _ => {}
            }
            i += 1;
        }
        if path.len() > 1 && path.last().is_some_and(|s| s == "self") {
            path.pop();
        }
        let path = absolute(path, module);
        let name = match trees.get(i + 1) {
            Some(TokenTree::Ident(renamed)) => Some(name_of(renamed)),
            _ => path.last().cloned(),
        };
        if let Some(name) = name.filter(|n| n != "*" && n != "_") {
            self.aliases.insert(name, path.clone());
        }
        self.found.push(Found { path, line, test, import: true });
    }

    fn finish(self) -> Scan {
        let aliases = &self.aliases;
        let references = self
            .found
            .into_iter()
            .map(|f| Reference { path: follow(f.path, aliases), line: f.line, test: f.test, import: f.import })
            // A lone word that no `use` explains is a local name, not a path.
            .filter(|r| r.import || r.path.len() > 1)
            .collect();
        Scan { references, test_files: self.test_files }
    }
}

/// Replaces a first name that this file imported by what it stands for.
fn follow(mut path: Vec<String>, aliases: &HashMap<String, Vec<String>>) -> Vec<String> {
    for _ in 0..ALIAS_STEPS_MAX {
        match path.first().and_then(|first| aliases.get(first)) {
            // `use serde;` stands for itself.
            Some(target) if target.first() != path.first() => {
                path.splice(..1, target.iter().cloned());
            }
            _ => break,
        }
    }
    path
}

/// Takes `self` and `super` out of a path written in `module`.
fn absolute(path: Vec<String>, module: &[String]) -> Vec<String> {
    if !path.first().is_some_and(|s| s == "self" || s == "super") {
        return path;
    }
    let mut base = module.to_vec();
    let mut rest = path.as_slice();
    while let [first, tail @ ..] = rest {
        match first.as_str() {
            "self" => {}
            "super" => drop(base.pop()),
            _ => break,
        }
        rest = tail;
    }
    let mut path = rooted(&base);
    path.extend(rest.iter().cloned());
    path
}

fn rooted(module: &[String]) -> Vec<String> {
    std::iter::once("crate".to_owned()).chain(module.iter().cloned()).collect()
}

fn name_of(word: &Ident) -> String {
    let name = word.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}

fn is_punct(tree: Option<&TokenTree>, c: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == c)
}

fn is_path_sep(trees: &[TokenTree], i: usize) -> bool {
    matches!(trees.get(i), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint)
        && is_punct(trees.get(i + 1), ':')
}

/// `cfg(test)`, `cfg(any(test, …))`; not `cfg(not(test))`.
fn is_cfg_test(attribute: TokenStream) -> bool {
    fn words(tokens: TokenStream, out: &mut Vec<String>) {
        for tree in tokens {
            match tree {
                TokenTree::Ident(word) => out.push(word.to_string()),
                TokenTree::Group(group) => words(group.stream(), out),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    words(attribute, &mut found);
    let has = |word: &str| found.iter().any(|w| w == word);
    found.first().is_some_and(|w| w == "cfg") && has("test") && !has("not")
}
