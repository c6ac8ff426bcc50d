//! What is asked of the server, and its bytes.
//!
//! Operations hold numbers, not texts: names are made while the body is written, into a buffer
//! that is used again. Nothing here chooses what to ask (that is `workload`) or sends it (`client`).

use std::fmt::{self, Display, Write};

use bytes::{Bytes, BytesMut};

/// Members in a page of [`Operation::MemberPage`].
pub const PAGE_MEMBERS: u64 = 100;
/// Cap asked for every new group: above the largest group any workload fills.
pub const MEMBERS_CAP: u64 = 20_000;
/// Room for a path and a body of usual size, so that the buffer rarely grows.
const BUFFER_BYTES: usize = 16 * 1024;

/// A group of the run: the run's prefix, an underscore, letters, perhaps a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub letters: &'static str,
    pub number: Option<u64>,
}

/// An account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Owns the groups whose owner does not matter.
    Owner,
    /// Letters and a number.
    Numbered(&'static str, u64),
    /// Joined by a connection of the mixed load, which also removes it again.
    Joiner { connection: u64, number: u64 },
}

impl Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Numbered(letters, number) => write!(f, "{letters}{number}"),
            Self::Joiner { connection, number } => write!(f, "x{connection}_{number}"),
        }
    }
}

/// The accounts of a member list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    None,
    One(User),
    Two(User, User),
    /// `count` accounts numbered from `first` on, starting again at 0 where `modulus` is reached.
    Row {
        letters: &'static str,
        first: u64,
        count: u64,
        modulus: u64,
    },
}

impl Users {
    fn each(self, mut visit: impl FnMut(User)) {
        match self {
            Self::None => {}
            Self::One(user) => visit(user),
            Self::Two(first, second) => {
                visit(first);
                visit(second);
            }
            Self::Row { letters, first, count, modulus } => {
                for number in first..first + count {
                    visit(User::Numbered(letters, number % modulus));
                }
            }
        }
    }
}

/// One call of the REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create { group: Group, owner: User, members: Users },
    Join { group: Group, users: Users },
    Remove { group: Group, user: User },
    Profile { group: Group },
    NameCard { group: Group, user: User, number: u64 },
    JoinedList { user: User },
    MemberPage { group: Group, offset: u64 },
    Disband { group: Group },
}

/// Which call an operation is; figures are kept for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Create,
    Join,
    Remove,
    Profile,
    NameCard,
    JoinedList,
    MemberPage,
    Disband,
}

impl Call {
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Join,
        Self::Remove,
        Self::Profile,
        Self::NameCard,
        Self::JoinedList,
        Self::MemberPage,
        Self::Disband,
    ];

    /// The command at the end of the path. Source: docs/spec/rest-api.md 4.
    pub fn command(self) -> &'static str {
        match self {
            Self::Create => "create_group",
            Self::Join => "add_group_member",
            Self::Remove => "delete_group_member",
            Self::Profile => "get_group_info",
            Self::NameCard => "modify_group_member_info",
            Self::JoinedList => "get_joined_group_list",
            Self::MemberPage => "get_group_member_info",
            Self::Disband => "destroy_group",
        }
    }

    /// The name in result files, shared with other harnesses of these workloads.
    pub fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Join => "join",
            Self::Remove => "quit",
            Self::Profile => "info",
            Self::NameCard => "modmember",
            Self::JoinedList => "joined",
            Self::MemberPage => "members",
            Self::Disband => "destroy",
        }
    }
}

impl Operation {
    pub fn call(&self) -> Call {
        match self {
            Self::Create { .. } => Call::Create,
            Self::Join { .. } => Call::Join,
            Self::Remove { .. } => Call::Remove,
            Self::Profile { .. } => Call::Profile,
            Self::NameCard { .. } => Call::NameCard,
            Self::JoinedList { .. } => Call::JoinedList,
            Self::MemberPage { .. } => Call::MemberPage,
            Self::Disband { .. } => Call::Disband,
        }
    }
}

/// Path with query, and body, of a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub path: Bytes,
    pub body: Bytes,
}

/// Writes requests for one connection, into one buffer.
#[derive(Debug)]
pub struct Renderer {
    run: String,
    heads: [String; Call::ALL.len()],
    buffer: BytesMut,
}

impl Renderer {
    /// `run` is the prefix of every group id, `query` says who asks (app, identifier, signature).
    pub fn new(run: &str, query: &str) -> Self {
        let heads = Call::ALL.map(|call| format!("/v4/group_open_http_svc/{}?{query}&random=", call.command()));
        Self { run: run.to_owned(), heads, buffer: BytesMut::with_capacity(BUFFER_BYTES) }
    }

    /// Writes one request; `random` goes into its query.
    pub fn render(&mut self, operation: &Operation, random: u32) -> Request {
        // Reclaims the buffer when the requests written into it before are gone.
        self.buffer.reserve(BUFFER_BYTES);
        let head = &self.heads[operation.call() as usize];
        self.buffer.extend_from_slice(head.as_bytes());
        put(&mut self.buffer, format_args!("{random}&contenttype=json"));
        let path = self.buffer.split().freeze();
        write_body(&mut self.buffer, &self.run, operation);
        Request { path, body: self.buffer.split().freeze() }
    }
}

fn put(out: &mut BytesMut, text: fmt::Arguments<'_>) {
    // A buffer that grows takes every text.
    let _ = out.write_fmt(text);
}

fn write_body(out: &mut BytesMut, run: &str, operation: &Operation) {
    match *operation {
        Operation::Create { group, owner, members } => {
            let group = Named { run, group };
            put(
                out,
                format_args!(
                    r#"{{"Owner_Account":"{owner}","Type":"Public","GroupId":"{group}","Name":"group {group}","Introduction":"intro","Notification":"notice","MaxMemberCount":{MEMBERS_CAP},"ApplyJoinOption":"FreeAccess","MemberList":["#
                ),
            );
            write_members(out, members);
            out.extend_from_slice(b"]}");
        }
        Operation::Join { group, users } => {
            let group = Named { run, group };
            put(out, format_args!(r#"{{"GroupId":"{group}","Silence":1,"MemberList":["#));
            write_members(out, users);
            out.extend_from_slice(b"]}");
        }
        Operation::Remove { group, user } => {
            let group = Named { run, group };
            put(out, format_args!(r#"{{"GroupId":"{group}","Silence":1,"MemberToDel_Account":["{user}"]}}"#));
        }
        Operation::Profile { group } => {
            let group = Named { run, group };
            put(out, format_args!(r#"{{"GroupIdList":["{group}"]}}"#));
        }
        Operation::NameCard { group, user, number } => {
            let group = Named { run, group };
            put(out, format_args!(r#"{{"GroupId":"{group}","Member_Account":"{user}","NameCard":"card {number}"}}"#));
        }
        Operation::JoinedList { user } => put(out, format_args!(r#"{{"Member_Account":"{user}"}}"#)),
        Operation::MemberPage { group, offset } => {
            let group = Named { run, group };
            put(out, format_args!(r#"{{"GroupId":"{group}","Limit":{PAGE_MEMBERS},"Offset":{offset}}}"#));
        }
        Operation::Disband { group } => {
            let group = Named { run, group };
            put(out, format_args!(r#"{{"GroupId":"{group}"}}"#));
        }
    }
}

fn write_members(out: &mut BytesMut, users: Users) {
    let mut separator = "";
    users.each(|user| {
        put(out, format_args!(r#"{separator}{{"Member_Account":"{user}"}}"#));
        separator = ",";
    });
}

/// A group with its run's prefix, as the server knows it.
struct Named<'a> {
    run: &'a str,
    group: Group,
}

impl Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.run, self.group.letters)?;
        match self.group.number {
            Some(number) => write!(f, "{number}"),
            None => Ok(()),
        }
    }
}
