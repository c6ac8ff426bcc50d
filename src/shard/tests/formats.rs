//! Bytes of entries and effects: a change of layout is a change of format.

use super::*;
use crate::group::{
    AddedMember, ApplyJoin, Created, ImportedMember, InviteJoin, MemberChange, MsgFlag, ProfileChange, Report, Tip,
};
use crate::store::{FeedRow, GroupHeader, JoinedRow};

#[test]
fn entries_keep_their_bytes() {
    let entry = GroupEntry {
        app: 7,
        group: group_id(1).into(),
        base: None,
        next: Version { term: 1, activation: 2, counter: 3 },
        at: 4,
        operator: account("ann").into(),
        events: vec![EventForm::MembersRemoved { accounts: vec![account("bob").into()], at: 4 }],
        notices: vec![],
        quota_day: None,
        request: None,
    };
    let bytes = Item::Group(entry).encode();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        "81a547726f75709a0 7a26731c0930102030 4a3616e6e9181ae4d656d6265727352656d6f7665649291a3626f620490c0c0"
            .replace(' ', "")
    );
    // Before requests were recorded an entry ended one field earlier.
    let mut older = bytes.clone();
    older[7] -= 1;
    older.truncate(older.len() - 1);
    let older = Proposal::decode(&Proposal::join(1, 2, [older.as_slice()].into_iter(), older.len()));
    assert_eq!(older.expect("an older proposal").items[0].encode(), bytes);
    let proposal = Proposal::join(1, 2, [bytes.as_slice()].into_iter(), bytes.len());
    let decoded = Proposal::decode(&proposal).expect("a proposal");
    assert_eq!((decoded.term, decoded.seq, decoded.items.len()), (1, 2, 1));
    assert_eq!(decoded.items[0].encode(), bytes);
    for cut in 0..proposal.len() {
        assert!(Proposal::decode(&proposal[..cut]).is_err(), "cut at {cut}");
    }
}

/// Printable bytes as they are, others in hex.
fn shown<T: serde::Serialize>(value: &T) -> String {
    rmp_serde::to_vec(value).expect("MessagePack").escape_ascii().to_string()
}

fn bytes_of(shown: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = shown.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'x') => {
                    let digits: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).expect("hex")
                }
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(other) => other,
                None => panic!("{shown} ends in an escape"),
            },
            other => other,
        });
    }
    bytes
}

fn created(active: bool) -> Event {
    Event::Created(Created {
        kind: Kind::Work,
        owner: Some(account("ann")),
        name: "n".into(),
        introduction: "i".into(),
        notification: "o".into(),
        face_url: "f".into(),
        members_max: 6,
        apply_join: ApplyJoin::Disabled,
        invite_join: InviteJoin::Free,
        history_before_join: true,
        custom: vec![("k".into(), "v".into())],
        support_topic: false,
        enable_permission: false,
        default_permission: 0,
        active,
        at: Stamp(9),
    })
}

#[test]
fn events_keep_their_bytes() {
    let at = Stamp(9);
    let (ann, bob) = (account("ann"), accounts(&["bob"]));
    let text = |text: &str| text.to_owned();
    let table = [
        (
            created(true),
            r"\x81\xa7Created\xdc\x00\x10\x01\xa3ann\xa1n\xa1i\xa1o\xa1f\x06\x00\x02\xc3\x91\x92\xa1k\xa1v\xc2\xc2\x00\t\xc3",
        ),
        (
            Event::MembersAdded {
                members: vec![AddedMember {
                    account: ann.clone(),
                    role: Role::Owner,
                    custom: vec![(text("k"), text("v"))],
                }],
                at,
            },
            r"\x81\xacMembersAdded\x92\x91\x93\xa3ann\x01\x91\x92\xa1k\xa1v\t",
        ),
        (Event::MembersRemoved { accounts: bob.clone(), at }, r"\x81\xaeMembersRemoved\x92\x91\xa3bob\t"),
        (
            Event::ProfileChanged { changes: vec![ProfileChange::MuteAll(true)], at },
            r"\x81\xaeProfileChanged\x92\x91\x81\xa7MuteAll\xc3\t",
        ),
        (Event::Destroyed { at }, r"\x81\xa9Destroyed\x91\t"),
        (
            Event::MembersImported {
                members: vec![ImportedMember { account: ann.clone(), role: Role::Admin, joined: at, msg_seq: 4 }],
            },
            r"\x81\xafMembersImported\x91\x91\x94\xa3ann\x02\t\x04",
        ),
        (
            Event::MemberChanged {
                account: ann.clone(),
                changes: vec![
                    MemberChange::Role(Role::Admin),
                    MemberChange::MsgFlag(MsgFlag::Discard),
                    MemberChange::NameCard(text("c")),
                    MemberChange::Custom((text("k"), text(""))),
                ],
            },
            r"\x81\xadMemberChanged\x92\xa3ann\x94\x81\xa4Role\x02\x81\xa7MsgFlag\x03\x81\xa8NameCard\xa1c\x81\xa6Custom\x92\xa1k\xa0",
        ),
        (
            Event::OwnerChanged { from: Some(ann.clone()), to: account("bob"), at },
            r"\x81\xacOwnerChanged\x93\xa3ann\xa3bob\t",
        ),
        (Event::OwnerChanged { from: None, to: account("bob"), at }, r"\x81\xacOwnerChanged\x93\xc0\xa3bob\t"),
        (Event::Muted { accounts: bob.clone(), until_secs: 300, at }, r"\x81\xa5Muted\x93\x91\xa3bob\xcd\x01,\t"),
        (
            Event::AttributesChanged { set: vec![(text("k"), text("v"))], removed: vec![text("r")] },
            r"\x81\xb1AttributesChanged\x92\x91\x92\xa1k\xa1v\x91\xa1r",
        ),
        (
            Event::CountersChanged { set: vec![(text("k"), -1)], removed: vec![text("r")] },
            r"\x81\xafCountersChanged\x92\x91\x92\xa1k\xff\x91\xa1r",
        ),
        (
            Event::Banned { accounts: bob.clone(), until_secs: 300, description: text("d"), at },
            r"\x81\xa6Banned\x94\x91\xa3bob\xcd\x01,\xa1d\t",
        ),
        (Event::Unbanned { accounts: bob.clone() }, r"\x81\xa8Unbanned\x91\x91\xa3bob"),
        (
            Event::LiveAdminsChanged { appointed: bob.clone(), dismissed: vec![ann.clone()], at },
            r"\x81\xb1LiveAdminsChanged\x93\x91\xa3bob\x91\xa3ann\t",
        ),
    ];
    for (event, golden) in table {
        assert_eq!(shown(&EventForm::from(&event)), golden, "{event:?}");
        let read: EventForm = rmp_serde::from_slice(&bytes_of(golden)).expect("golden bytes");
        assert_eq!(Event::from(read), event);
    }
}

/// Entries of before it was said whether a group begins active.
#[test]
fn a_creation_that_does_not_say_so_begins_as_its_kind_does() {
    let Event::Created(work) = created(true) else { unreachable!() };
    for (kind, active) in [(Kind::Work, false), (Kind::Public, true)] {
        let event = Event::Created(Created { kind, active: !active, ..work.clone() });
        let mut bytes = rmp_serde::to_vec(&EventForm::from(&event)).expect("MessagePack");
        // One field fewer, and that is the last one; so few have a count of one byte.
        let count = bytes.iter().position(|byte| *byte == 0xdc).expect("an array of 16");
        assert_eq!(bytes.splice(count..count + 3, [0x9f]).collect::<Vec<_>>(), [0xdc, 0, 16]);
        assert_eq!(bytes.pop(), Some(0xc2 + u8::from(!active)));
        let read = Event::from(rmp_serde::from_slice::<EventForm>(&bytes).expect("an older entry"));
        assert_eq!(read, Event::Created(Created { kind, active, ..work.clone() }));
    }
}

#[test]
fn notices_keep_their_bytes() {
    let (ann, bob) = (account("ann"), accounts(&["bob"]));
    let tip = |tip| Notice::Tip { operator: ann.clone(), tip };
    let report = |report| Notice::Report { to: bob.clone(), operator: ann.clone(), report };
    let table = [
        (
            tip(Tip::MembersInvited { accounts: bob.clone(), member_count: 3 }),
            r"\x81\xa7Invited\x93\xa3ann\x91\xa3bob\x03",
        ),
        (
            tip(Tip::MembersKicked { accounts: bob.clone(), member_count: 3, reason: "r".into() }),
            r"\x81\xa6Kicked\x94\xa3ann\x91\xa3bob\x03\xa1r",
        ),
        (
            tip(Tip::ProfileChanged { changes: vec![ProfileChange::Name("n".into())] }),
            r"\x81\xa7Changed\x92\xa3ann\x91\x81\xa4Name\xa1n",
        ),
        (report(Report::Kicked { reason: "r".into() }), r"\x81\xacReportKicked\x93\x91\xa3bob\xa3ann\xa1r"),
        (report(Report::GroupCreated), r"\x81\xadReportCreated\x92\x91\xa3bob\xa3ann"),
        (report(Report::Invited), r"\x81\xadReportInvited\x92\x91\xa3bob\xa3ann"),
        (tip(Tip::AdminsAppointed { accounts: bob.clone() }), r"\x81\xafAdminsAppointed\x92\xa3ann\x91\xa3bob"),
        (tip(Tip::AdminsDismissed { accounts: bob.clone() }), r"\x81\xafAdminsDismissed\x92\xa3ann\x91\xa3bob"),
        (tip(Tip::OwnerChanged { owner: account("bob") }), r"\x81\xacOwnerChanged\x92\xa3ann\xa3bob"),
        (
            tip(Tip::MembersMuted { accounts: bob.clone(), for_secs: 300 }),
            r"\x81\xacMembersMuted\x93\xa3ann\x91\xa3bob\xcd\x01,",
        ),
        (report(Report::AdminGranted), r"\x81\xb2ReportAdminGranted\x92\x91\xa3bob\xa3ann"),
        (report(Report::AdminRevoked), r"\x81\xb2ReportAdminRevoked\x92\x91\xa3bob\xa3ann"),
        (report(Report::Muted { until_secs: 300 }), r"\x81\xabReportMuted\x93\x91\xa3bob\xa3ann\xcd\x01,"),
        (report(Report::MsgFlagChanged { flag: MsgFlag::Discard }), r"\x81\xadReportMsgFlag\x93\x91\xa3bob\xa3ann\x03"),
        (
            report(Report::Banned { until_secs: 300, description: "d".into() }),
            r"\x81\xacReportBanned\x94\x91\xa3bob\xa3ann\xcd\x01,\xa1d",
        ),
        (report(Report::Unbanned), r"\x81\xaeReportUnbanned\x92\x91\xa3bob\xa3ann"),
    ];
    for (notice, golden) in table {
        assert_eq!(shown(&NoticeForm::from(&notice)), golden, "{notice:?}");
        let read: NoticeForm = rmp_serde::from_slice(&bytes_of(golden)).expect("golden bytes");
        assert_eq!(Notice::from(read), notice);
    }
}

#[test]
fn effects_keep_their_bytes() {
    let ann = || account("ann").into();
    let row = || JoinedRow { group: group_id(1).into(), kind: 2, joined: 9, join_seq: 4, flags: 1 };
    let report = |value| FeedRow {
        event_id: "e".into(),
        at: 9,
        report_type: 17,
        group: group_id(1).into(),
        group_name: "n".into(),
        kind: 2,
        operator: "o".into(),
        remark: "r".into(),
        value,
    };
    let table = [
        (
            Effect::Joined { app: 7, account: ann(), slot: 5, gno: 3, row: row(), report: None },
            r"\x81\xa6Joined\x96\x07\xa3ann\x05\x03\x95\xa2g1\x02\t\x04\x01\xc0",
        ),
        (
            Effect::Left { app: 7, account: ann(), slot: 5, gno: 3, report: Some(report(6)) },
            r"\x81\xa4Left\x95\x07\xa3ann\x05\x03\x99\xa1e\t\x11\xa2g1\xa1n\x02\xa1o\xa1r\x06",
        ),
        (Effect::Quota { app: 7, day: 20_000, delta: -1 }, r"\x81\xa5Quota\x93\x07\xcdN \xff"),
        (
            Effect::Told { app: 7, account: ann(), report: report(6) },
            r"\x81\xa4Told\x93\x07\xa3ann\x99\xa1e\t\x11\xa2g1\xa1n\x02\xa1o\xa1r\x06",
        ),
        (
            Effect::JoinedChanged { app: 7, account: ann(), slot: 5, gno: 3, row: row() },
            r"\x81\xadJoinedChanged\x95\x07\xa3ann\x05\x03\x95\xa2g1\x02\t\x04\x01",
        ),
    ];
    for (effect, golden) in table {
        assert_eq!(shown(&effect), golden);
        assert_eq!(rmp_serde::from_slice::<Effect>(&bytes_of(golden)).expect("golden bytes"), effect);
    }
    // A report of before it had a value, on its way from a shard that wrote it then.
    let older = r"\x81\xa4Told\x93\x07\xa3ann\x98\xa1e\t\x11\xa2g1\xa1n\x02\xa1o\xa1r";
    let read: Effect = rmp_serde::from_slice(&bytes_of(older)).expect("an older effect");
    assert_eq!(read, Effect::Told { app: 7, account: ann(), report: report(0) });
}

/// An import must not pass for one in order because the header of an older group does not know the last joining.
#[test]
fn a_header_that_does_not_say_when_somebody_joined_last_says_it_late() {
    let mut world = World::new();
    let id = a_created_group(&mut world, &["u1"]);
    let mut older = GroupHeader::from(&world.head(&id));
    (older.last_joined, older.last_info) = (0, 777);
    assert_eq!(Head::from(older.clone()).facts.last_joined, Stamp(777));
    // Nobody ever joined an empty group, and in a live room nobody is stored.
    older.next_join_seq = 0;
    assert_eq!(Head::from(older.clone()).facts.last_joined, Stamp(0));
    (older.next_join_seq, older.kind) = (1, 4);
    assert_eq!(Head::from(older).facts.last_joined, Stamp(0));
}
