//! Names of things: parsed once at the edge, trusted afterwards.
//!
//! An id that exists here is well formed; nothing behind the edge checks its shape again.
//! Source of every rule: docs/spec/identifiers.md.

use std::fmt;

use smol_str::SmolStr;

/// Longest custom group id, in bytes. Source: docs/spec/identifiers.md 1.2.
pub const GROUP_ID_BYTES_MAX: usize = 48;
/// Longest account id, in bytes. Source: docs/spec/identifiers.md 3.
pub const ACCOUNT_ID_BYTES_MAX: usize = 32;

/// The tenant; every key begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(pub u32);

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A group's name in its app: 1 to 48 bytes of printable ASCII, compared bytewise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(SmolStr);

/// Why a text is not the id of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedId {
    #[error("the id is empty")]
    Empty,
    #[error("the id is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("the id has a byte outside printable ASCII")]
    NotPrintable,
    #[error("the id begins with a reserved prefix")]
    Reserved,
}

fn check_printable(text: &str, bytes_max: usize) -> Result<(), MalformedId> {
    if text.is_empty() {
        return Err(MalformedId::Empty);
    }
    if text.len() > bytes_max {
        return Err(MalformedId::TooLong { bytes_max });
    }
    if !text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return Err(MalformedId::NotPrintable);
    }
    Ok(())
}

impl GroupId {
    /// Takes a text that addresses a group.
    ///
    /// # Errors
    /// [`MalformedId`] for an empty, too long or unprintable text.
    ///
    /// Source: docs/spec/identifiers.md 1.3.
    pub fn parse(text: &str) -> Result<Self, MalformedId> {
        check_printable(text, GROUP_ID_BYTES_MAX)?;
        Ok(Self(SmolStr::new(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person or bot in an app: 1 to 32 bytes of printable ASCII, compared bytewise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(SmolStr);

impl AccountId {
    /// Takes the name of an account.
    ///
    /// # Errors
    /// [`MalformedId`] for an empty, too long, unprintable or reserved name.
    ///
    /// Source: docs/spec/identifiers.md 3.
    pub fn parse(text: &str) -> Result<Self, MalformedId> {
        check_printable(text, ACCOUNT_ID_BYTES_MAX)?;
        if ["@TGS#", "@TOPIC#", "@PMG#"].iter().any(|p| text.starts_with(p)) {
            return Err(MalformedId::Reserved);
        }
        Ok(Self(SmolStr::new(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an account's name is one under `ids.user_id_strict`. Source: docs/spec/identifiers.md 3.
pub fn is_strict_account(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A group's internal number in its shard: given at apply, never reused, its incarnation.
///
/// Below 2^40, so that slot, kind and number fit the 53 bits of a paging cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gno(pub u64);

impl fmt::Display for Gno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tags one HTTP request in logs; made by this node, unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
