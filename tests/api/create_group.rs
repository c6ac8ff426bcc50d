//! Creating groups: docs/spec/rest-api.md 4.2, docs/spec/identifiers.md 1, docs/spec/group-types.md 3.

use serde_json::{Value, json};

use crate::expect::{self, ALL, COMMUNITY, LIVE, MEETING, PUBLIC, STORED, THEN, WORK, group, member, settled};
use crate::shared::{accounts, client, create, info, joined, listed, refused, unique, unique_id, with};
use crate::support::{ADMIN, Client, now_secs};

/// A new group of that type with those further fields must look like this, moments apart.
async fn begins_as(client: &mut Client, kind: &expect::Kind, fields: Value, expected: Value) {
    let since = now_secs();
    let id = create(client, kind.wire, fields).await;
    assert_eq!(settled(info(client, &id).await, since), with(expected, json!({"GroupId": id})));
}

/// That creation is refused with that code, and the id stays free.
async fn creates_nothing(client: &mut Client, body: Value, code: u32) {
    refused(client, "create_group", body.clone(), code).await;
    if let Some(id) = body["GroupId"].as_str() {
        let answer = client.ok("get_group_info", json!({"GroupIdList": [id]})).await;
        let code = answer["GroupInfo"][0]["ErrorCode"].as_u64();
        assert!(matches!(code, Some(10010 | 10015)), "{body} was refused and exists: {answer}");
    }
}

#[tokio::test]
async fn every_type_under_each_of_its_names() {
    let mut client = client().await;
    for kind in ALL {
        for name in kind.names {
            let (since, id) = (now_secs(), unique_id(kind.wire));
            let answer = client.call("create_group", json!({"Type": name, "Name": "club", "GroupId": id})).await;
            let expected = match kind.wire {
                "Community" => json!({"GroupId": id, "Type": "Community", "HugeGroupFlag": 0}),
                _ => json!({"GroupId": id}),
            };
            assert_eq!(answer, expect::ok(expected));
            assert_eq!(settled(info(&mut client, &id).await, since), group(kind, &id), "{name}");
        }
    }
}

#[tokio::test]
async fn everything_that_may_be_said_at_once() {
    let mut client = client().await;
    let names = accounts("m", 3);
    let [mira, otto, lena] = [&names[0], &names[1], &names[2]];
    for kind in [&PUBLIC, &MEETING, &COMMUNITY] {
        let fields = json!({
            "Owner_Account": mira,
            "Introduction": "Sunday walks",
            "Notification": "bring water",
            "FaceUrl": "http://face/1",
            "MaxMemberCount": 400,
            "ApplyJoinOption": "DisableApply",
            "InviteJoinOption": "NeedPermission",
            "AppDefinedData": [{"Key": "city", "Value": "Graz"}, {"Key": "day", "Value": "Sunday"}],
            "MemberList": [
                {"Member_Account": otto, "Role": "Admin"},
                {"Member_Account": lena, "AppMemberDefinedData": [{"Key": "badge", "Value": "7"}]},
            ],
        });
        let badge = json!({"AppMemberDefinedData": [{"Key": "badge", "Value": "7"}]});
        let changes = json!({
            "Owner_Account": mira,
            "Introduction": "Sunday walks",
            "Notification": "bring water",
            "FaceUrl": "http://face/1",
            "MaxMemberNum": 400,
            "ApplyJoinOption": "DisableApply",
            "InviteJoinOption": "NeedPermission",
            "AppDefinedData": [{"Key": "city", "Value": "Graz"}, {"Key": "day", "Value": "Sunday"}],
            "MemberNum": 3,
            "NextMsgSeq": 1 + u32::from(kind.stores_member_tips),
            "MemberList": [
                member(kind, mira, "Owner"),
                member(kind, otto, "Admin"),
                with(member(kind, lena, "Member"), badge),
            ],
        });
        begins_as(&mut client, kind, fields, with(group(kind, ""), changes)).await;
    }
}

#[tokio::test]
async fn members_join_when_the_group_begins() {
    let mut client = client().await;
    let names = accounts("m", 3);
    for kind in STORED {
        let fields = json!({"Owner_Account": names[0], "MemberList": listed(&names[1..])});
        let id = create(&mut client, kind.wire, fields).await;
        let info = info(&mut client, &id).await;
        let began = &info["CreateTime"];
        assert_eq!(&info["LastInfoTime"], began);
        for member in info["MemberList"].as_array().expect("members") {
            assert_eq!(&member["JoinTime"], began, "{info}");
        }
        for name in &names {
            assert!(joined(&mut client, name).await.contains(&id), "{name} {}", kind.wire);
        }
    }
}

#[tokio::test]
async fn a_group_may_have_no_owner() {
    let mut client = client().await;
    let names = accounts("m", 2);
    for kind in STORED {
        let members = [member(kind, &names[0], "Member"), member(kind, &names[1], "Member")];
        let next_seq = 1 + u32::from(kind.stores_member_tips);
        let changes = json!({"MemberNum": 2, "NextMsgSeq": next_seq, "MemberList": members});
        begins_as(&mut client, kind, json!({"MemberList": listed(&names)}), with(group(kind, ""), changes)).await;
    }
    begins_as(&mut client, &LIVE, json!({}), group(&LIVE, "")).await;
}

#[tokio::test]
async fn a_live_room_has_an_owner_and_no_members() {
    let mut client = client().await;
    let owner = unique("owner");
    // What cannot be chosen for a live room is ignored.
    let fields = json!({
        "Owner_Account": owner,
        "MaxMemberCount": 7,
        "ApplyJoinOption": "NeedPermission",
        "AppDefinedData": [{"Key": "city", "Value": "Graz"}],
    });
    let changes = json!({"Owner_Account": owner, "AppDefinedData": [{"Key": "city", "Value": "Graz"}]});
    begins_as(&mut client, &LIVE, fields, with(group(&LIVE, ""), changes)).await;
    assert_eq!(joined(&mut client, &owner).await, [""; 0]);

    let body = json!({"Type": "AVChatRoom", "Name": "club", "GroupId": unique("g"), "MemberList": listed(&["bob"])});
    creates_nothing(&mut client, body, 10007).await;
}

#[tokio::test]
async fn an_account_that_is_named_twice_joins_once() {
    let mut client = client().await;
    let names = accounts("m", 2);
    let [owner, admin] = [&names[0], &names[1]];
    let fields = json!({
        "Owner_Account": owner,
        "MemberList": [
            {"Member_Account": admin, "Role": "Admin"},
            {"Member_Account": owner},
            {"Member_Account": admin},
            {"Member_Account": owner, "Role": "Admin"},
        ],
    });
    let members = [member(&MEETING, owner, "Owner"), member(&MEETING, admin, "Admin")];
    let changes = json!({"Owner_Account": owner, "MemberNum": 2, "MemberList": members});
    begins_as(&mut client, &MEETING, fields, with(group(&MEETING, ""), changes)).await;
}

#[tokio::test]
async fn an_id_is_made_for_a_group_that_names_none() {
    let mut client = client().await;
    let mut ids = Vec::new();
    for kind in ALL {
        let prefix = if kind.wire == "Community" { "@TGS#_@TGS#c" } else { "@TGS#2" };
        for _ in 0..20 {
            let answer = client.ok("create_group", json!({"Type": kind.wire, "Name": "club"})).await;
            let id = answer["GroupId"].as_str().expect("an id").to_owned();
            let body = id.strip_prefix(prefix).unwrap_or_else(|| panic!("{} {id}", kind.wire));
            let is_base32 = body.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'));
            assert!(body.len() == 13 && is_base32, "{id}");
            ids.push(id);
        }
    }
    let since = now_secs() - 60;
    assert_eq!(settled(info(&mut client, &ids[0]).await, since), group(&WORK, &ids[0]));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20 * ALL.len());
}

#[tokio::test]
async fn an_id_may_be_chosen() {
    let mut client = client().await;
    let n = unique("");
    let fill = |prefix: &str, bytes: usize| format!("{prefix}{n}{}", "x".repeat(bytes - prefix.len() - n.len()));
    for id in [fill("", 48), format!("two words{n}"), format!("~!\"'\\/{n}"), format!("@TGS{n}"), format!("a@TGS#{n}")]
    {
        client.ok("create_group", json!({"Type": "Public", "Name": "club", "GroupId": id})).await;
        assert_eq!(info(&mut client, &id).await["ErrorCode"], 0, "{id}");
    }
    for id in [fill("@TGS#_", 48), format!("@TGS#_{n}"), format!("@TGS#_@TGS{n}")] {
        client.ok("create_group", json!({"Type": "Community", "Name": "club", "GroupId": id})).await;
        assert_eq!(info(&mut client, &id).await["ErrorCode"], 0, "{id}");
    }
    // Case counts.
    let (small, large) = (format!("case{n}"), format!("CASE{n}"));
    for id in [&small, &large] {
        client.ok("create_group", json!({"Type": "Public", "Name": id, "GroupId": id})).await;
    }
    assert_eq!(info(&mut client, &small).await["Name"], small);

    for id in [
        fill("", 49),
        format!("club{n}\u{7f}"),
        format!("club{n}\n"),
        format!("k\u{e4}se{n}"),
        format!("@TGS#{n}"),
        format!("@TGS#2{n}"),
        format!("@TGS#_not{n}"),
        format!("a@TOPIC#_{n}"),
        format!(" club{n}"),
        format!("club{n} "),
    ] {
        creates_nothing(&mut client, json!({"Type": "Public", "Name": "club", "GroupId": id}), 10004).await;
    }
    for id in [
        fill("@TGS#_", 49),
        format!("club{n}"),
        format!("@TGS#{n}"),
        "@TGS#_".to_owned(),
        format!("@TGS#_@TGS#{n}"),
        format!("@TGS#_a@TOPIC#_{n}"),
        format!("@TGS#_{n} "),
    ] {
        creates_nothing(&mut client, json!({"Type": "Community", "Name": "club", "GroupId": id}), 10004).await;
    }
    creates_nothing(&mut client, json!({"Type": "Public", "Name": "club", "GroupId": 7}), 10004).await;
}

#[tokio::test]
async fn an_id_that_is_taken_is_yours_or_somebody_elses() {
    let mut client = client().await;
    let (ann, bob) = (unique("ann"), unique("bob"));
    let owned = create(&mut client, "Public", json!({"Owner_Account": ann})).await;
    let before = info(&mut client, &owned).await;
    let of_ann = json!({"Type": "Public", "Name": "new", "GroupId": owned, "Owner_Account": ann});
    refused(&mut client, "create_group", of_ann.clone(), 10025).await;
    // Whatever the type: the id is what counts. It is looked at before type, roles and values.
    refused(&mut client, "create_group", with(of_ann.clone(), json!({"Type": "Work"})), 10025).await;
    for changes in [
        json!({"Owner_Account": bob}),
        json!({"Owner_Account": null}),
        json!({"Owner_Account": bob, "Type": "AVChatRoom", "MemberList": listed(&["x"])}),
        json!({"Owner_Account": bob, "MaxMemberCount": 6001}),
    ] {
        refused(&mut client, "create_group", with(of_ann.clone(), changes), 10021).await;
    }
    assert_eq!(info(&mut client, &owned).await, before);
    assert_eq!(joined(&mut client, &bob).await, [""; 0]);

    // Without a named owner the caller is the requester: an app admin who owns the group is told so.
    let of_admin = create(&mut client, "Public", json!({"Owner_Account": ADMIN})).await;
    let body = json!({"Type": "Public", "Name": "new", "GroupId": of_admin});
    refused(&mut client, "create_group", body.clone(), 10025).await;
    refused(&mut client, "create_group", with(body, json!({"Owner_Account": ann})), 10021).await;
    // Nobody owns this one, the caller neither.
    let of_nobody = create(&mut client, "Public", json!({})).await;
    refused(&mut client, "create_group", json!({"Type": "Public", "Name": "new", "GroupId": of_nobody}), 10021).await;
    // The live room's owner is not its member, and yet its owner.
    let live = create(&mut client, "AVChatRoom", json!({"Owner_Account": ann})).await;
    refused(&mut client, "create_group", with(of_ann, json!({"GroupId": live})), 10025).await;
}

#[tokio::test]
async fn texts_and_lists_end_at_their_limits() {
    let mut client = client().await;
    // Three bytes each.
    let wide = |bytes: usize| format!("{}{}", "群".repeat(bytes / 3), "a".repeat(bytes % 3));
    for (field, shown, bytes_max) in [
        ("Name", "Name", 30),
        ("Introduction", "Introduction", 240),
        ("Notification", "Notification", 300),
        ("FaceUrl", "FaceUrl", 100),
    ] {
        for text in [wide(bytes_max), "x".repeat(bytes_max)] {
            let id = create(&mut client, "Public", json!({field: text})).await;
            assert_eq!(info(&mut client, &id).await[shown], text);
        }
        for text in [wide(bytes_max + 1), "x".repeat(bytes_max + 1)] {
            let body = json!({"Type": "Public", "Name": "club", "GroupId": unique("g")});
            creates_nothing(&mut client, with(body, json!({field: text})), 10004).await;
        }
    }
    let many = accounts("m", 101);
    let id = create(&mut client, "Public", json!({"MemberList": listed(&many[..100])})).await;
    assert_eq!(info(&mut client, &id).await["MemberNum"], 100);
    let body = json!({"Type": "Public", "Name": "club", "GroupId": unique("g"), "MemberList": listed(&many)});
    creates_nothing(&mut client, body.clone(), 10005).await;
    // The cap of the list is looked at before the type.
    creates_nothing(&mut client, with(body, json!({"Type": "AVChatRoom"})), 10005).await;
}

#[tokio::test]
async fn the_maximum_of_members_is_within_the_cap_of_the_type() {
    let mut client = client().await;
    for (kind, cap) in [("Work", 6000), ("Public", 6000), ("Meeting", 6000), ("Community", 100_000)] {
        for count in [1, cap] {
            let id = create(&mut client, kind, json!({"MaxMemberCount": count})).await;
            assert_eq!(info(&mut client, &id).await["MaxMemberNum"], count, "{kind}");
        }
        for count in [json!(cap + 1), json!(-1), json!(1.5), json!("many"), json!(u64::MAX), json!(true), json!([1])] {
            let id = unique_id(kind);
            let body = json!({"Type": kind, "Name": "club", "GroupId": id, "MaxMemberCount": count});
            creates_nothing(&mut client, body, 10004).await;
        }
    }
    // The owner counts.
    let names = accounts("m", 2);
    let body = json!({"Type": "Public", "Name": "club", "Owner_Account": names[0], "MemberList": listed(&names[1..])});
    let body = with(body, json!({"GroupId": unique("g"), "MaxMemberCount": 1}));
    creates_nothing(&mut client, body.clone(), 10038).await;
    client.ok("create_group", with(body, json!({"MaxMemberCount": 2}))).await;
}

#[tokio::test]
async fn custom_fields_have_short_keys_and_bounded_values() {
    let mut client = client().await;
    let fields = |count: usize| (0..count).map(|n| json!({"Key": format!("k{n}"), "Value": "v"})).collect::<Value>();
    let one = |key: &str, value: Value| json!([{"Key": key, "Value": value}]);

    let text = "x".repeat(512);
    let longest = one("abc_XYZ_01234567", json!(text));
    let id = create(&mut client, "Public", json!({"AppDefinedData": longest})).await;
    assert_eq!(info(&mut client, &id).await["AppDefinedData"], longest);
    let id = create(&mut client, "Public", json!({"AppDefinedData": fields(10)})).await;
    assert_eq!(info(&mut client, &id).await["AppDefinedData"], fields(10));
    // Any bytes, and other kinds of value as their JSON text.
    let values = [
        (json!("a\u{0}b\n\u{1f980}"), "a\u{0}b\n\u{1f980}"),
        (json!(7), "7"),
        (json!(-1.5), "-1.5"),
        (json!(true), "true"),
    ];
    for (value, stored) in values {
        let id = create(&mut client, "Public", json!({"AppDefinedData": one("k", value)})).await;
        assert_eq!(info(&mut client, &id).await["AppDefinedData"], one("k", json!(stored)));
    }
    // An empty value is none; the last of several counts.
    let data = json!([
        {"Key": "a", "Value": "1"}, {"Key": "gone", "Value": ""}, {"Key": "a", "Value": "2"},
    ]);
    let id = create(&mut client, "Public", json!({"AppDefinedData": data})).await;
    assert_eq!(info(&mut client, &id).await["AppDefinedData"], one("a", json!("2")));

    let member = |data: Value| json!([{"Member_Account": "bob", "AppMemberDefinedData": data}]);
    let text = "x".repeat(64);
    for data in [one("k", json!(text)), fields(5)] {
        let id = create(&mut client, "Public", json!({"MemberList": member(data.clone())})).await;
        assert_eq!(info(&mut client, &id).await["MemberList"][0]["AppMemberDefinedData"], data);
    }

    let (long, long_of_member) = ("x".repeat(513), "x".repeat(65));
    let mut bad = vec![
        json!({"AppDefinedData": one("k", json!(long))}),
        json!({"AppDefinedData": fields(11)}),
        json!({"MemberList": member(one("k", json!(long_of_member)))}),
        json!({"MemberList": member(fields(6))}),
        json!({"AppDefinedData": {"k": "v"}}),
        json!({"AppDefinedData": ["k"]}),
        json!({"AppDefinedData": [{"Key": 7, "Value": "v"}]}),
        json!({"AppDefinedData": [{"Value": "v"}]}),
    ];
    for key in ["", "abc_XYZ_012345678", "a-b", "a b", "\u{e4}"] {
        bad.push(json!({"AppDefinedData": one(key, json!("v"))}));
        bad.push(json!({"MemberList": member(one(key, json!("v")))}));
    }
    for fields in bad {
        let body = json!({"Type": "Public", "Name": "club", "GroupId": unique("g")});
        creates_nothing(&mut client, with(body, fields), 10004).await;
    }
}

#[tokio::test]
async fn what_is_missing_or_of_another_kind_is_named() {
    let mut client = client().await;
    let body = || json!({"Type": "Public", "Name": "club", "GroupId": unique("g")});
    for (changes, code) in [
        (json!({"Type": null}), 10004),
        (json!({"Type": "BChatRoom"}), 10004),
        (json!({"Type": "public"}), 10004),
        (json!({"Type": 1}), 10004),
        (json!({"Name": null}), 10004),
        (json!({"Name": ""}), 10004),
        (json!({"Name": 7}), 10004),
        (json!({"Name": ["club"]}), 10004),
        (json!({"Introduction": 7}), 10004),
        (json!({"ApplyJoinOption": "Free"}), 10004),
        (json!({"InviteJoinOption": 1}), 10004),
        (json!({"MemberList": "bob"}), 10004),
        (json!({"MemberList": {"Member_Account": "bob"}}), 10004),
        (json!({"MemberList": [7]}), 10004),
        (json!({"MemberList": [{}]}), 10004),
        (json!({"MemberList": [{"Member_Account": 7}]}), 60015),
        (json!({"MemberList": [{"Member_Account": {"a": 1}}]}), 60015),
        (json!({"MemberList": [{"Member_Account": ""}]}), 10004),
        (json!({"MemberList": [{"Member_Account": "x".repeat(33)}]}), 10004),
        (json!({"MemberList": [{"Member_Account": "k\u{e4}se"}]}), 10004),
        (json!({"MemberList": [{"Member_Account": "@TGS#bob"}]}), 10004),
        (json!({"MemberList": [{"Member_Account": "@TOPIC#bob"}]}), 10004),
        (json!({"MemberList": [{"Member_Account": "bob", "Role": "Owner"}]}), 10004),
        (json!({"MemberList": [{"Member_Account": "bob", "Role": "Boss"}]}), 10004),
        (json!({"MemberList": [{"Member_Account": "bob", "Role": "Admin"}], "Type": "Work"}), 10004),
        (json!({"Owner_Account": 7}), 60015),
        (json!({"Owner_Account": ["ann"]}), 60015),
        (json!({"Owner_Account": "x".repeat(33)}), 10004),
        (json!({"Owner_Account": "a\tb"}), 10004),
        (json!({"SupportTopic": 1}), 10007),
        (json!({"SupportTopic": 2, "Type": "Community", "GroupId": unique_id("Community")}), 10004),
        (json!({"SupportTopic": "yes", "Type": "Community", "GroupId": unique_id("Community")}), 10004),
    ] {
        // `with` takes a null away, so what is null here is missing there.
        creates_nothing(&mut client, with(body(), changes), code).await;
    }
}

#[tokio::test]
async fn null_zero_and_empty_are_as_if_they_were_not_there() {
    let mut client = client().await;
    let since = now_secs();
    let id = unique("g");
    let body = json!({
        "Type": "Public", "Name": "club", "GroupId": id,
        "Owner_Account": null, "Introduction": null, "Notification": null, "FaceUrl": null,
        "MaxMemberCount": null, "ApplyJoinOption": null, "InviteJoinOption": null, "AppDefinedData": null,
        "MemberList": null, "SupportTopic": null, "EnablePermission": null, "DefaultPermission": null,
    });
    client.ok("create_group", body).await;
    assert_eq!(settled(info(&mut client, &id).await, since), group(&PUBLIC, &id));

    let id = unique("g");
    let body = json!({
        "Type": "Public", "Name": "club", "GroupId": id,
        "Introduction": "", "Notification": "", "FaceUrl": "", "MaxMemberCount": 0, "AppDefinedData": [],
        "MemberList": [], "SupportTopic": 0, "EnablePermission": 0, "DefaultPermission": 0,
        "Unknown": {"deep": [1, 2]}, "AppMemberDefinedData": [{"Key": "!", "Value": 1}],
    });
    client.ok("create_group", body).await;
    assert_eq!(settled(info(&mut client, &id).await, since), group(&PUBLIC, &id));

    let body = json!({"Type": "Public", "Name": "club", "GroupId": null});
    let answer = client.ok("create_group", body).await;
    assert!(answer["GroupId"].as_str().is_some_and(|id| id.starts_with("@TGS#2")), "{answer}");

    // Fields an item of a member list does not have are ignored, nulls and zeros among them.
    let bob = unique("bob");
    let item =
        json!({"Member_Account": bob, "Role": null, "ShutUpUntil": 0, "NameCard": "B", "AppMemberDefinedData": null});
    let fields = json!({"MemberList": [item]});
    let changes = json!({"MemberNum": 1, "NextMsgSeq": 2, "MemberList": [member(&PUBLIC, &bob, "Member")]});
    begins_as(&mut client, &PUBLIC, fields, with(group(&PUBLIC, ""), changes)).await;
}

#[tokio::test]
async fn integers_may_be_written_as_text() {
    let mut client = client().await;
    let id = create(&mut client, "Community", json!({"MaxMemberCount": "400", "SupportTopic": "1"})).await;
    let info = info(&mut client, &id).await;
    assert_eq!((&info["MaxMemberNum"], &info["SupportTopic"]), (&json!(400), &json!(1)), "{info}");
}

#[tokio::test]
async fn a_refused_creation_joins_nobody() {
    let mut client = client().await;
    let (owner, bob) = (unique("owner"), unique("bob"));
    let body = json!({
        "Type": "Public", "Name": "club", "GroupId": unique("g"), "Owner_Account": owner, "MaxMemberCount": 1,
        "MemberList": listed(&[&bob]),
    });
    creates_nothing(&mut client, body, 10038).await;
    for account in [&owner, &bob] {
        assert_eq!(joined(&mut client, account).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_community_with_topics_says_so() {
    let mut client = client().await;
    let answer = json!({"SupportTopic": 1, "EnablePermission": 0});
    begins_as(&mut client, &COMMUNITY, json!({"SupportTopic": 1}), with(group(&COMMUNITY, ""), answer)).await;
    // The default permissions are there with what they belong to.
    let fields = json!({"SupportTopic": 1, "EnablePermission": 1, "DefaultPermission": 5});
    begins_as(&mut client, &COMMUNITY, fields.clone(), with(group(&COMMUNITY, ""), fields)).await;
    let since = now_secs();
    let id = create(&mut client, "Community", json!({})).await;
    let info = settled(info(&mut client, &id).await, since);
    assert_eq!(info["CreateTime"], THEN);
    assert_eq!(info["SupportTopic"], 0);
}
