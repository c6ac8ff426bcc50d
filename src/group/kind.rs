//! The five kinds of group, and what each fixes.
//!
//! Source: docs/spec/group-types.md 1 and 3.

/// What sort of group it is; given at creation, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `Work`, on the wire `Private`.
    Work,
    Public,
    /// `Meeting`, on the wire `ChatRoom`.
    Meeting,
    /// A live room: its ordinary members are not stored.
    AvChatRoom,
    Community,
}

/// Who may apply to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApplyJoin {
    Free,
    NeedPermission,
    Disabled,
}

/// What a member's invitation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InviteJoin {
    Free,
    NeedPermission,
    Disabled,
}

/// What a member wants of messages. Source: docs/spec/rest-api.md 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MsgFlag {
    AcceptAndNotify,
    AcceptNotNotify,
    Discard,
    AcceptNotNotifyExceptAt,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Work, Kind::Public, Kind::Meeting, Kind::AvChatRoom, Kind::Community];

    /// Applying when nothing was asked for at creation. Source: docs/spec/group-types.md 3.
    pub fn default_apply_join(self) -> ApplyJoin {
        match self {
            Kind::Work => ApplyJoin::Disabled,
            Kind::Public => ApplyJoin::NeedPermission,
            Kind::Meeting | Kind::AvChatRoom | Kind::Community => ApplyJoin::Free,
        }
    }

    /// Inviting when nothing was asked for at creation. Source: docs/spec/group-types.md 3.
    pub fn default_invite_join(self) -> InviteJoin {
        match self {
            Kind::Work | Kind::Community => InviteJoin::Free,
            Kind::Public | Kind::Meeting | Kind::AvChatRoom => InviteJoin::Disabled,
        }
    }

    /// Who may apply is part of what the kind is. Source: docs/spec/group-types.md 3.
    pub fn fixes_apply_join(self) -> bool {
        matches!(self, Kind::Work | Kind::AvChatRoom)
    }

    /// Nobody is ever invited to a live room. Source: docs/spec/group-types.md 3.
    pub fn fixes_invite_join(self) -> bool {
        self == Kind::AvChatRoom
    }

    /// Whether new members see earlier messages unless somebody decides otherwise.
    ///
    /// Source: docs/spec/group-types.md 3; a live room keeps no messages.
    pub fn default_history_before_join(self) -> bool {
        matches!(self, Kind::Meeting | Kind::Community)
    }

    /// Ordinary members of a live room are not stored. Source: docs/spec/group-types.md 3.
    pub fn stores_members(self) -> bool {
        self != Kind::AvChatRoom
    }

    /// A Work group is inactive until a first message. Source: docs/spec/group-types.md 4.
    pub fn starts_inactive(self) -> bool {
        self == Kind::Work
    }

    /// What a member wants of messages that never said. Source: docs/spec/group-types.md 3.
    pub fn default_msg_flag(self) -> MsgFlag {
        match self {
            Kind::Work | Kind::Public | Kind::Community => MsgFlag::AcceptAndNotify,
            Kind::Meeting | Kind::AvChatRoom => MsgFlag::AcceptNotNotify,
        }
    }
}
