//! Changing settings and texts: docs/spec/rest-api.md 4.6, docs/spec/group-types.md 6.3.

use serde_json::{Value, json};

use crate::expect::{self, ALL, Kind, PUBLIC, STORED, group, settled};
use crate::shared::{accounts, client, create, info, listed, refused_without_effect, unique, with};
use crate::support::{Client, now_secs};

/// That change is accepted, and then the group looks like that.
async fn becomes(client: &mut Client, id: &str, change: Value, expected: &Value, since: u64) {
    let answer = client.call("modify_group_base_info", with(json!({"GroupId": id}), change.clone())).await;
    assert_eq!(answer, expect::ok(json!({})), "{change}");
    assert_eq!(&settled(info(client, id).await, since), expected, "{change}");
}

async fn refused(client: &mut Client, id: &str, change: Value, code: u32) {
    let body = with(json!({"GroupId": id}), change);
    refused_without_effect(client, id, "modify_group_base_info", body, code).await;
}

/// What a change of the texts of such a group leaves besides: a new number of the profile, and a tip if it has tips.
fn after_text_changes(kind: &Kind, count: u32) -> Value {
    json!({"InfoSeq": 1 + count, "NextMsgSeq": 1 + if kind.stores_text_tips { count } else { 0 }})
}

#[tokio::test]
async fn each_type_takes_new_texts() {
    let mut client = client().await;
    for kind in ALL {
        let since = now_secs();
        let id = create(&mut client, kind.wire, json!({})).await;
        let texts = json!({
            "Name": "new", "Introduction": "intro", "Notification": "note", "FaceUrl": "http://face",
        });
        let mut expected = with(with(group(kind, &id), texts.clone()), after_text_changes(kind, 1));
        becomes(&mut client, &id, texts, &expected, since).await;

        // Only what is named changes; "" clears all but the name.
        expected = with(expected, json!({"Introduction": "", "FaceUrl": ""}));
        expected = with(expected, after_text_changes(kind, 2));
        becomes(&mut client, &id, json!({"Introduction": "", "FaceUrl": ""}), &expected, since).await;
        // Nothing named, or nothing new: nothing happens.
        for change in [json!({}), json!({"Name": "new", "Notification": "note"}), json!({"Unknown": 1, "Type": "Work"})]
        {
            becomes(&mut client, &id, change, &expected, since).await;
        }
    }
}

#[tokio::test]
async fn settings_change_without_a_tip() {
    let mut client = client().await;
    for kind in STORED {
        let since = now_secs();
        let id = create(&mut client, kind.wire, json!({})).await;
        let mut expected = group(kind, &id);
        let mut info_seq = 1;
        let mut changes = vec![
            (json!({"MaxMemberNum": 17}), json!({"MaxMemberNum": 17})),
            (json!({"MaxMemberNum": "18"}), json!({"MaxMemberNum": 18})),
            (json!({"InviteJoinOption": "NeedPermission"}), json!({"InviteJoinOption": "NeedPermission"})),
            (
                json!({"AppDefinedData": [{"Key": "city", "Value": "Graz"}]}),
                json!({"AppDefinedData": [{"Key": "city", "Value": "Graz"}]}),
            ),
        ];
        if kind.wire != "Private" {
            let muted = json!({"MuteAllMember": "On", "ShutUpAllMember": "On"});
            let free = json!({"MuteAllMember": "Off", "ShutUpAllMember": "Off"});
            changes.extend([
                (json!({"ApplyJoinOption": "DisableApply"}), json!({"ApplyJoinOption": "DisableApply"})),
                (json!({"MuteAllMember": "On"}), muted.clone()),
                // The old name works; if both are there the new one wins.
                (json!({"ShutUpAllMember": "Off"}), free),
                (json!({"ShutUpAllMember": "Off", "MuteAllMember": "On"}), muted),
            ]);
        }
        for (change, shown) in changes {
            info_seq += 1;
            expected = with(with(expected, shown), json!({"InfoSeq": info_seq}));
            becomes(&mut client, &id, change, &expected, since).await;
        }
    }
}

#[tokio::test]
async fn several_fields_are_one_change() {
    let mut client = client().await;
    let since = now_secs();
    let id = create(&mut client, "Public", json!({"AppDefinedData": [{"Key": "city", "Value": "Graz"}]})).await;
    let change = json!({
        "Name": "new", "MaxMemberNum": 40, "ApplyJoinOption": "FreeAccess", "InviteJoinOption": "FreeAccess",
        "MuteAllMember": "On", "HistoryMsgBeforeJoin": "On", "AppDefinedData": [{"Key": "day", "Value": "Sunday"}],
        "From_Account": "somebody",
    });
    let shown = json!({
        "Name": "new", "MaxMemberNum": 40, "ApplyJoinOption": "FreeAccess", "InviteJoinOption": "FreeAccess",
        "MuteAllMember": "On", "ShutUpAllMember": "On",
        "AppDefinedData": [{"Key": "city", "Value": "Graz"}, {"Key": "day", "Value": "Sunday"}],
    });
    let expected = with(with(group(&PUBLIC, &id), shown), after_text_changes(&PUBLIC, 1));
    becomes(&mut client, &id, change, &expected, since).await;
}

#[tokio::test]
async fn custom_fields_are_merged() {
    let mut client = client().await;
    let since = now_secs();
    let fields = |pairs: &[(&str, &str)]| -> Value {
        pairs.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
    };
    let id = create(&mut client, "Public", json!({"AppDefinedData": fields(&[("a", "1"), ("b", "2")])})).await;
    let mut expected = group(&PUBLIC, &id);
    for (info_seq, change, left) in [
        (2, fields(&[("b", "3"), ("c", "4")]), Some(fields(&[("a", "1"), ("b", "3"), ("c", "4")]))),
        (3, fields(&[("a", "")]), Some(fields(&[("b", "3"), ("c", "4")]))),
        // Deleting what is not there, setting what is: no change.
        (3, fields(&[("x", ""), ("b", "3")]), Some(fields(&[("b", "3"), ("c", "4")]))),
        (4, fields(&[("b", ""), ("c", "")]), None),
    ] {
        expected = with(expected, json!({"InfoSeq": info_seq, "AppDefinedData": left}));
        becomes(&mut client, &id, json!({"AppDefinedData": change}), &expected, since).await;
    }

    // The count is of what is left: ten keys are full, and one may take another's place.
    let ten = (0..10).map(|n| json!({"Key": format!("k{n}"), "Value": "v"})).collect::<Value>();
    let id = create(&mut client, "Public", json!({"AppDefinedData": ten})).await;
    refused(&mut client, &id, json!({"AppDefinedData": fields(&[("more", "v")])}), 10004).await;
    let change = json!({"GroupId": id, "AppDefinedData": fields(&[("more", "v"), ("k0", "")])});
    client.ok("modify_group_base_info", change).await;
    assert_eq!(info(&mut client, &id).await["AppDefinedData"].as_array().map(Vec::len), Some(10));
    for key in ["", "a-b", "abcdefghijklmnopq", "\u{e4}"] {
        refused(&mut client, &id, json!({"AppDefinedData": fields(&[(key, "v")])}), 10004).await;
    }
    let long = "x".repeat(513);
    refused(&mut client, &id, json!({"AppDefinedData": fields(&[("k1", &long)])}), 10004).await;
}

#[tokio::test]
async fn texts_end_at_their_limits() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let wide = |bytes: usize| format!("{}{}", "群".repeat(bytes / 3), "a".repeat(bytes % 3));
    for (field, bytes_max) in [("Name", 30), ("Introduction", 240), ("Notification", 300), ("FaceUrl", 100)] {
        for text in [wide(bytes_max), "x".repeat(bytes_max)] {
            client.ok("modify_group_base_info", json!({"GroupId": id, field: text})).await;
            assert_eq!(info(&mut client, &id).await[field], text);
        }
        for text in [wide(bytes_max + 1), "x".repeat(bytes_max + 1)] {
            refused(&mut client, &id, json!({field: text}), 10004).await;
        }
    }
}

#[tokio::test]
async fn the_maximum_of_members_is_between_members_and_cap() {
    let mut client = client().await;
    for (kind, cap) in [("Work", 6000), ("Public", 6000), ("Meeting", 6000), ("Community", 100_000)] {
        let id = create(&mut client, kind, json!({"MemberList": listed(&accounts("m", 3))})).await;
        for count in [json!(cap + 1), json!(2), json!(1), json!(-1), json!(2.5), json!("x"), json!(u64::MAX)] {
            refused(&mut client, &id, json!({"MaxMemberNum": count}), 10004).await;
        }
        for count in [3, cap] {
            client.ok("modify_group_base_info", json!({"GroupId": id, "MaxMemberNum": count})).await;
            assert_eq!(info(&mut client, &id).await["MaxMemberNum"], count);
        }
    }
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    let before = info(&mut client, &id).await;
    client.ok("modify_group_base_info", json!({"GroupId": id, "MaxMemberNum": 5})).await;
    assert_eq!(info(&mut client, &id).await, before);
}

#[tokio::test]
async fn what_a_type_fixes_stays() {
    let mut client = client().await;
    for (kind, change, code) in [
        ("Work", json!({"ApplyJoinOption": "FreeAccess"}), 10007),
        ("AVChatRoom", json!({"ApplyJoinOption": "DisableApply"}), 10007),
        ("AVChatRoom", json!({"InviteJoinOption": "FreeAccess"}), 10007),
        ("Work", json!({"MuteAllMember": "On"}), 10007),
        ("AVChatRoom", json!({"HistoryMsgBeforeJoin": "On"}), 10007),
        ("Community", json!({"HistoryMsgBeforeJoin": "Off"}), 10007),
        ("Public", json!({"EnablePermission": 1}), 10007),
    ] {
        let id = create(&mut client, kind, json!({})).await;
        refused(&mut client, &id, change.clone(), code).await;
        // All or nothing.
        refused(&mut client, &id, with(change, json!({"Name": "new"})), code).await;
    }
    // Sending back what was read is no change.
    for (kind, change) in [
        ("Work", json!({"ApplyJoinOption": "DisableApply"})),
        ("AVChatRoom", json!({"ApplyJoinOption": "FreeAccess", "InviteJoinOption": "DisableInvite"})),
    ] {
        let id = create(&mut client, kind, json!({})).await;
        let before = info(&mut client, &id).await;
        client.ok("modify_group_base_info", with(json!({"GroupId": id}), change)).await;
        assert_eq!(info(&mut client, &id).await, before);
    }
    for kind in ["Work", "Public", "Meeting"] {
        let id = create(&mut client, kind, json!({})).await;
        client.ok("modify_group_base_info", json!({"GroupId": id, "HistoryMsgBeforeJoin": "Off"})).await;
    }
    // A live room may be muted as a whole, and a community be closed.
    let id = create(&mut client, "AVChatRoom", json!({})).await;
    client.ok("modify_group_base_info", json!({"GroupId": id, "MuteAllMember": "On"})).await;
    assert_eq!(info(&mut client, &id).await["MuteAllMember"], "On");
}

#[tokio::test]
async fn what_cannot_be_changed_to() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let body = json!({"Notification": "must not be seen"});
    refused_without_effect(&mut client, &id, "modify_group_base_info", body, 10004).await;
    for (change, code) in [
        (json!({"GroupId": 7}), 10004),
        (json!({"GroupId": "x".repeat(49)}), 10015),
        (json!({"GroupId": unique("absent")}), 10010),
        (json!({"GroupId": unique("absent"), "Name": "new"}), 10010),
        (json!({"GroupId": "x".repeat(49), "Name": ""}), 10004),
        (json!({"Name": ""}), 10004),
        (json!({"Name": 7}), 10004),
        (json!({"Introduction": ["x"]}), 10004),
        (json!({"ApplyJoinOption": "Free"}), 10004),
        (json!({"ApplyJoinOption": 1}), 10004),
        (json!({"InviteJoinOption": "freeaccess"}), 10004),
        (json!({"MuteAllMember": "on"}), 10004),
        (json!({"MuteAllMember": true}), 10004),
        (json!({"ShutUpAllMember": "Maybe"}), 10004),
        (json!({"HistoryMsgBeforeJoin": "Yes"}), 10004),
        (json!({"AppDefinedData": {"k": "v"}}), 10004),
        (json!({"From_Account": 7}), 60015),
    ] {
        // All or nothing: a text that could change does not.
        let change = with(json!({"Notification": "must not be seen"}), change);
        refused(&mut client, &id, change, code).await;
    }
}

#[tokio::test]
async fn null_zero_and_empty_are_as_if_they_were_not_there() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({"Introduction": "walks"})).await;
    let before = info(&mut client, &id).await;
    let body = json!({
        "GroupId": id, "Name": null, "Introduction": null, "Notification": null, "FaceUrl": null,
        "MaxMemberNum": null, "ApplyJoinOption": null, "InviteJoinOption": null, "MuteAllMember": null,
        "ShutUpAllMember": null, "AppDefinedData": null, "HistoryMsgBeforeJoin": null, "EnablePermission": null,
        "DefaultPermission": null, "From_Account": null,
    });
    assert_eq!(client.call("modify_group_base_info", body).await, expect::ok(json!({})));
    let body = json!({"GroupId": id, "MaxMemberNum": 0, "AppDefinedData": []});
    assert_eq!(client.call("modify_group_base_info", body).await, expect::ok(json!({})));
    assert_eq!(info(&mut client, &id).await, before);
}
