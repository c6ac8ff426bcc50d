//! What a command is for, takes, answers and refuses: plain values, beside the reader of each command.
//!
//! One source for two forms: [`openapi`](super::openapi) makes the document that a node serves of them, and
//! `docs/api.md`. Bodies are not read by these values (see [`body`](super::body) for why); tests hold each description
//! and its reader together: `admin/describing.rs`.

mod codes;
mod shapes;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use codes::{COMMON, OF_A_GROUP};
pub use shapes::*;

/// Everything that is to be said of a command.
pub struct About {
    pub topic: Topic,
    /// One sentence in the third person.
    pub summary: &'static str,
    /// What else a caller should know, one sentence or two each; see [`prose`].
    pub notes: &'static [&'static str],
    pub request: Shape,
    /// What an answer OK has besides the envelope.
    pub answer: Shape,
    /// Codes besides those of [`COMMON`] and [`OF_A_GROUP`], and those of them that mean something special here.
    pub refusals: &'static [(u32, &'static str)],
    pub example: Example,
}

/// What a command is about; the page for people has a chapter for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Groups,
    Members,
    Silence,
    Attributes,
    Counters,
    Accounts,
}

/// A request, and what an answer to it says besides the envelope.
pub struct Example {
    pub request: &'static str,
    pub answer: &'static str,
}

/// An object. One with a name is described once and referred to.
#[derive(Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub means: &'static str,
    /// It has the fields of these, too.
    pub with: &'static [&'static Shape],
    pub fields: &'static [Field],
}

impl Shape {
    /// An object that is found in one place only.
    pub const fn of(fields: &'static [Field]) -> Self {
        Self::named("", "", fields)
    }

    pub const fn named(name: &'static str, means: &'static str, fields: &'static [Field]) -> Self {
        Self { name, means, with: &[], fields }
    }

    pub const fn with(mut self, with: &'static [&'static Shape]) -> Self {
        self.with = with;
        self
    }

    /// Its fields, those of what it comes with among them.
    pub fn all(&self) -> Vec<&'static Field> {
        self.fields.iter().chain(self.with.iter().flat_map(|shape| shape.all())).collect()
    }
}

/// No field at all.
pub const NOTHING: Shape = Shape::of(&[]);

/// A field of an object.
#[derive(Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub is: Is,
    pub need: Need,
    pub means: &'static str,
    pub limit: Option<Limit>,
    /// What its absence means.
    pub default: Option<&'static str>,
    /// Names that older or other clients use for it.
    pub also: &'static [&'static str],
}

/// Whether a field has to be there; in an answer, whether it always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Always,
    /// Always, unless that other one is there.
    Unless(&'static str),
    Sometimes,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Is {
    Text,
    /// The id that addresses a group, which has to exist.
    GroupId,
    TopicId,
    Account,
    /// From the first to the second, both included.
    Integer(u64, u64),
    /// Of 64 bits, also below 0.
    Signed,
    Word(&'static [&'static str]),
    /// A text; numbers and booleans are taken as their text.
    Scalar,
    Object(&'static Shape),
    List(&'static Is),
}

/// A limit that the operator of a node sets. Each names its key.
#[derive(Clone, Copy)]
pub enum Limit {
    Bytes(&'static str),
    Items(&'static str),
    /// Of a page: more counts as that many, and 0 means none given.
    Page(&'static str),
}

/// 0 or 1.
pub const FLAG: Is = Is::Integer(0, 1);
pub const U32: Is = Is::Integer(0, u32::MAX as u64);
pub const U64: Is = Is::Integer(0, u64::MAX);
/// Unix seconds.
pub const SECONDS: Is = U64;
pub const TEXTS: Is = Is::List(&Is::Text);
pub const ACCOUNTS: Is = Is::List(&Is::Account);

pub const fn required(name: &'static str, is: Is, means: &'static str) -> Field {
    Field { name, is, need: Need::Always, means, limit: None, default: None, also: &[] }
}

pub const fn optional(name: &'static str, is: Is, means: &'static str) -> Field {
    Field { need: Need::Sometimes, ..required(name, is, means) }
}

impl Field {
    pub const fn unless(mut self, other: &'static str) -> Self {
        self.need = Need::Unless(other);
        self
    }

    pub const fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub const fn also(mut self, names: &'static [&'static str]) -> Self {
        self.also = names;
        self
    }

    /// What it means, with its limit and its default.
    pub fn meaning(&self) -> String {
        let mut text = prose(self.means);
        match self.limit {
            None => {}
            Some(Limit::Bytes(key)) => text += &format!(", at most {}", setting(key, "bytes")),
            Some(Limit::Items(key)) => text += &format!(", at most {}", setting(key, "")),
            Some(Limit::Page(key)) => {
                text += &format!(", at most {}; more counts as that, and 0 means none given", setting(key, ""));
            }
        }
        if let Some(default) = self.default {
            text += &format!("; default: {}", prose(default));
        }
        text
    }
}

impl About {
    /// Whether a group is addressed, so that [`OF_A_GROUP`] may be refused.
    pub fn is_of_a_group(&self) -> bool {
        self.request.all().iter().any(|field| matches!(field.is, Is::GroupId))
    }

    /// Every code that may be answered, in ascending order.
    pub fn codes(&self) -> Vec<u32> {
        let of_a_group = if self.is_of_a_group() { OF_A_GROUP } else { &[] };
        let mut codes: Vec<u32> =
            [COMMON, of_a_group, self.refusals].iter().flat_map(|table| table.iter().map(|(code, _)| *code)).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

/// A text in which each `{key unit}` is replaced by the default of that setting, in that unit if there is one, and the
/// name of the setting.
///
/// # Panics
/// If there is no such setting.
pub fn prose(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}').expect("a brace that is opened is closed");
        let (key, unit) = inside.split_once(' ').unwrap_or((inside, ""));
        out += before;
        out += &setting(key, unit);
        rest = after;
    }
    out + rest
}

fn setting(key: &str, unit: &str) -> String {
    let space = if unit.is_empty() { "" } else { " " };
    format!("{}{space}{unit} (`{key}`)", default_of(key))
}

/// The default of a setting. The numbers live with the rules; here they are looked up.
///
/// # Panics
/// If there is no such setting.
pub fn default_of(key: &str) -> &'static str {
    static DEFAULTS: LazyLock<HashMap<String, String>> =
        LazyLock::new(|| crate::config::default_settings().into_iter().collect());
    DEFAULTS.get(key).unwrap_or_else(|| panic!("a description names the setting {key}, which there is not"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_names_settings_with_their_defaults() {
        assert_eq!(prose("at most {limits.attr_keys}, then"), "at most 16 (`limits.attr_keys`), then");
        let field = optional("Reason", Is::Text, "why").limit(Limit::Bytes("limits.kick_reason_bytes")).default("none");
        assert_eq!(field.meaning(), "why, at most 256 bytes (`limits.kick_reason_bytes`); default: none");
    }

    #[test]
    fn a_shape_has_the_fields_of_what_it_comes_with() {
        let names: Vec<&str> = MEMBER.all().iter().map(|field| field.name).collect();
        assert_eq!((names[0], names[1]), ("Member_Account", "Role"));
    }
}
