//! Signatures over HTTP: docs/spec/usersig.md 3 and 4.
//!
//! Failures are counted per address, so these tests have nodes of their own, most of them without that count.
//! Signatures are put together here, independently of the node's own code.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};

use crate::support::{ADMIN, APP, Client, KEY, Node, OTHER_APP, OTHER_KEY, Settings, now_secs};

/// What a signature says of itself.
#[derive(Clone)]
struct Claims {
    key: &'static str,
    app: u32,
    identifier: String,
    time: i64,
    expire: i64,
    userbuf: Option<&'static [u8]>,
}

impl Claims {
    fn good() -> Self {
        let time = i64::try_from(now_secs()).expect("a moment");
        Self { key: KEY, app: APP, identifier: ADMIN.to_owned(), time, expire: 3600, userbuf: None }
    }

    fn fields(&self) -> Map<String, Value> {
        let Self { app, identifier, time, expire, .. } = self;
        let mut text =
            format!("TLS.identifier:{identifier}\nTLS.sdkappid:{app}\nTLS.time:{time}\nTLS.expire:{expire}\n");
        let mut fields = Map::new();
        fields.insert("TLS.ver".into(), json!("2.0"));
        fields.insert("TLS.identifier".into(), json!(identifier));
        fields.insert("TLS.sdkappid".into(), json!(app));
        fields.insert("TLS.time".into(), json!(time));
        fields.insert("TLS.expire".into(), json!(expire));
        if let Some(userbuf) = self.userbuf {
            let userbuf = STANDARD.encode(userbuf);
            text += &format!("TLS.userbuf:{userbuf}\n");
            fields.insert("TLS.userbuf".into(), json!(userbuf));
        }
        let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(self.key.as_bytes()).expect("any key");
        hmac.update(text.as_bytes());
        fields.insert("TLS.sig".into(), json!(STANDARD.encode(hmac.finalize().into_bytes())));
        fields
    }

    fn sign(&self) -> String {
        packed(Value::Object(self.fields()).to_string().as_bytes())
    }

    /// Signed, then changed.
    fn signed_with(&self, changes: &[(&str, Value)]) -> String {
        let mut fields = self.fields();
        for (name, value) in changes {
            match value {
                Value::Null => fields.remove(*name),
                value => fields.insert((*name).into(), value.clone()),
            };
        }
        packed(Value::Object(fields).to_string().as_bytes())
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(bytes).expect("memory");
    zlib.finish().expect("memory")
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "*").replace('/', "-").replace('=', "_")
}

fn packed(text: &[u8]) -> String {
    encoded(&compressed(text))
}

/// After so many failures a node refuses who failed; 0: it locks nobody out.
fn fail_limit(limit: u32) -> Settings {
    Settings { toml: format!("[auth]\nfail_limit = {limit}\n"), ..Settings::default() }
}

/// The code of a read by somebody with that signature.
async fn code_of(client: &mut Client, app: u32, identifier: &str, usersig: &str) -> u64 {
    code_of_call(client, app, identifier, usersig, "get_group_info", r#"{"GroupIdList":["g"]}"#).await
}

async fn code_of_call(
    client: &mut Client,
    app: u32,
    identifier: &str,
    usersig: &str,
    command: &str,
    body: &'static str,
) -> u64 {
    let path = format!("/v4/group_open_http_svc/{command}?sdkappid={app}&identifier={identifier}&usersig={usersig}");
    let (status, answer) = client.raw("POST", &path, body).await.expect("an answer");
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    answer["ErrorCode"].as_u64().expect("a code")
}

#[tokio::test]
async fn who_is_let_in() {
    let node = Node::start_with(fail_limit(0));
    let mut client = node.client().await;
    let good = Claims::good();
    let now = good.time;
    let signed = good.sign();
    let unpadded = signed.trim_end_matches('_').to_owned();
    let mut reordered = r#"{ "TLS.sig": "?", "TLS.expire": 3600, "TLS.ver":"2.0" , "More": [1], "TLS.time": TIME,"#
        .to_owned()
        + r#" "TLS.sdkappid": 1400000000, "TLS.identifier": "adm\u0069nistrator" }"#;
    reordered = reordered.replace("TIME", &now.to_string());
    reordered = reordered.replace('?', good.fields()["TLS.sig"].as_str().expect("a signature"));

    for (usersig, expected) in [
        (signed.clone(), 0),
        // Again: what was verified may be remembered.
        (signed.clone(), 0),
        (unpadded, 0),
        (packed(reordered.as_bytes()), 0),
        (Claims { userbuf: Some(b"abc"), ..good.clone() }.sign(), 0),
        (Claims { userbuf: Some(b""), ..good.clone() }.sign(), 0),
        (good.signed_with(&[("TLS.time", json!(now.to_string())), ("TLS.expire", json!("3600"))]), 0),
        (good.signed_with(&[("TLS.sdkappid", json!(APP.to_string()))]), 0),
        (Claims { time: now - 3500, ..good.clone() }.sign(), 0),
        (Claims { time: now + 590, ..good.clone() }.sign(), 0),
        // The window
        (Claims { time: now - 3600, ..good.clone() }.sign(), 70001),
        (Claims { time: 1_700_000_000, ..good.clone() }.sign(), 70001),
        (Claims { expire: 0, ..good.clone() }.sign(), 70001),
        (Claims { expire: -1, ..good.clone() }.sign(), 70001),
        (Claims { time: now + 700, ..good.clone() }.sign(), 70003),
        (Claims { expire: i64::MAX, ..good.clone() }.sign(), 70003),
        // Made for others
        (Claims { app: OTHER_APP, ..good.clone() }.sign(), 70014),
        (Claims { app: OTHER_APP, key: OTHER_KEY, ..good.clone() }.sign(), 70014),
        (Claims { identifier: "bob".into(), ..good.clone() }.sign(), 70013),
        (Claims { identifier: "Administrator".into(), ..good.clone() }.sign(), 70013),
        (Claims { app: OTHER_APP, identifier: "bob".into(), ..good.clone() }.sign(), 70014),
        // Made by others
        (Claims { key: OTHER_KEY, ..good.clone() }.sign(), 70009),
        (Claims { key: OTHER_KEY, time: now - 9000, ..good.clone() }.sign(), 70009),
        (good.signed_with(&[("TLS.time", json!(now - 1))]), 70009),
        (good.signed_with(&[("TLS.expire", json!(86_400))]), 70009),
        (good.signed_with(&[("TLS.userbuf", json!("YWJj"))]), 70009),
        (Claims { userbuf: Some(b"abc"), ..good.clone() }.signed_with(&[("TLS.userbuf", Value::Null)]), 70009),
        (good.signed_with(&[("TLS.sig", json!(STANDARD.encode([0; 32])))]), 70009),
        // Not one at all
        ("nonsense".to_owned(), 70003),
        (signed[..signed.len() - 20].to_owned(), 70003),
        (format!("!{signed}"), 70003),
        (STANDARD.encode(compressed(b"{}")).replace('=', "%3D").replace('+', "%2B"), 70003),
        (encoded(Value::Object(good.fields()).to_string().as_bytes()), 70003),
        (packed(b""), 70003),
        (packed(b"[]"), 70003),
        (packed(b"{}"), 70003),
        (packed(b"not json"), 70003),
        (packed(b"\xff\xfe"), 70003),
        (packed(format!("{}x", Value::Object(good.fields())).as_bytes()), 70003),
        (good.signed_with(&[("TLS.ver", json!("1.0"))]), 70003),
        (good.signed_with(&[("TLS.ver", json!(2.0))]), 70003),
        (good.signed_with(&[("TLS.ver", Value::Null)]), 70003),
        (good.signed_with(&[("TLS.sig", Value::Null)]), 70003),
        (good.signed_with(&[("TLS.sig", json!(7))]), 70003),
        (good.signed_with(&[("TLS.time", Value::Null)]), 70003),
        (good.signed_with(&[("TLS.time", json!("soon"))]), 70003),
        (good.signed_with(&[("TLS.time", json!(1.5))]), 70003),
        (good.signed_with(&[("TLS.expire", Value::Null)]), 70003),
        (good.signed_with(&[("TLS.sdkappid", Value::Null)]), 70003),
        (good.signed_with(&[("TLS.identifier", Value::Null)]), 70003),
        (good.signed_with(&[("TLS.identifier", json!(7))]), 70003),
        (good.signed_with(&[("TLS.userbuf", json!(7))]), 70003),
        (packed(Value::Object(good.fields()).to_string().replacen('{', r#"{"TLS.ver":"2.0","#, 1).as_bytes()), 70003),
        // Too much of it: encoded, and inflated
        ("A".repeat(4097), 70003),
        (good.signed_with(&[("More", json!(" ".repeat(9000)))]), 70003),
        (packed(&vec![b' '; 4_000_000]), 70003),
    ] {
        assert_eq!(code_of(&mut client, APP, ADMIN, &usersig).await, expected, "{usersig}");
    }
    // An inflated size within the bound is none of anybody's business.
    assert_eq!(code_of(&mut client, APP, ADMIN, &good.signed_with(&[("More", json!(" ".repeat(7000)))])).await, 0);
}

#[tokio::test]
async fn a_good_signature_of_no_admin_may_do_nothing_here() {
    let node = Node::start_with(fail_limit(0));
    let mut client = node.client().await;
    client.ok("create_group", json!({"Type": "Public", "Name": "club", "GroupId": "g", "Owner_Account": "bob"})).await;
    let bob = Claims { identifier: "bob".into(), ..Claims::good() };
    for (command, body) in [
        ("create_group", r#"{"Type":"Public","Name":"club","GroupId":"h"}"#),
        ("get_group_info", r#"{"GroupIdList":["g"]}"#),
        ("get_group_member_info", r#"{"GroupId":"g"}"#),
        ("add_group_member", r#"{"GroupId":"g","MemberList":[{"Member_Account":"eve"}]}"#),
        ("delete_group_member", r#"{"GroupId":"g","MemberToDel_Account":["bob"]}"#),
        ("modify_group_base_info", r#"{"GroupId":"g","Name":"mine"}"#),
        ("destroy_group", r#"{"GroupId":"g"}"#),
        ("get_joined_group_list", r#"{"Member_Account":"bob"}"#),
    ] {
        assert_eq!(code_of_call(&mut client, APP, "bob", &bob.sign(), command, body).await, 60010, "{command}");
        // Expired comes first: only genuine signatures learn what they may.
        let old = Claims { time: 1_700_000_000, ..bob.clone() }.sign();
        assert_eq!(code_of_call(&mut client, APP, "bob", &old, command, body).await, 70001, "{command}");
    }
    let answer = client.ok("get_group_info", json!({"GroupIdList": ["g", "h"]})).await;
    let (group, created) = (&answer["GroupInfo"][0], &answer["GroupInfo"][1]);
    assert_eq!((&group["Name"], &group["MemberNum"]), (&json!("club"), &json!(1)), "{answer}");
    assert_eq!(created["ErrorCode"], 10010, "{answer}");
}

#[tokio::test]
async fn the_vectors_of_other_generators_are_known_and_old() {
    // Source: docs/spec/usersig.md 6, V1, V2 and V6 (with the key of that page).
    const K1: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
    const V1: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__";
    const V2: &str = "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogMiUZOamKlkZmqOKplYUZBaBxE1NTY3gosWZ6UpWSj5ljuYp*p7l5unBxXnF2WVhVU4uAf7Ozi5JpX7O5SbuHuUhzgZJmQXaTia2SrUAohcx8g__";
    const V6: &str = "eJxVjU0LgkAYhP-Ley3KDStZ6LCFKKWhKArdMtf2NbXFr6zov0elh*YwzDxzmCf4ljdpeQkUZhMFxt*OMS9qTPCLOzxe06bopyq*HKXEGChRlV6-pcacAyXLf8o7iSUHqi3UATUVL6MmAQqMMZMbmYhmkkTZ-u6fGWObk3sIgs0nMkf7OBu*8QwU8nnoWGtHPUhbpPp0ZHiP3HT1XWTZXdWGKEgjtr6rVM5tBa83*kRDAg__";
    let environment = vec![("MUSTER__APPS__0__KEY".to_owned(), K1.to_owned())];
    let node = Node::start_with(Settings { environment, ..fail_limit(0) });
    let mut client = Client::connect(node.address, APP, K1).await;
    for vector in [V1, V2, V6] {
        assert_eq!(code_of(&mut client, APP, "xiaojun", vector).await, 70001, "{vector}");
        assert_eq!(code_of(&mut client, APP, "xiaojun2", vector).await, 70013);
        assert_eq!(code_of(&mut client, OTHER_APP, "xiaojun", vector).await, 70014);
        assert_eq!(code_of(&mut client, APP, "xiaojun", &vector[..vector.len() - 20]).await, 70003);
    }
    // The page's key signs for the other tests' key nothing, and the other way round.
    assert_eq!(code_of(&mut client, APP, ADMIN, &Claims::good().sign()).await, 70009);
    assert_eq!(code_of(&mut client, APP, ADMIN, &Claims { key: K1, ..Claims::good() }.sign()).await, 0);
}

#[tokio::test]
async fn an_app_may_be_switched_off_and_may_change_its_key() {
    let environment = vec![
        ("MUSTER__APPS__0__KEY__0".to_owned(), OTHER_KEY.to_owned()),
        ("MUSTER__APPS__0__KEY__1".to_owned(), KEY.to_owned()),
        ("MUSTER__APPS__1__ENABLED".to_owned(), "false".to_owned()),
    ];
    let node = Node::start_with(Settings { environment, ..fail_limit(0) });
    let mut client = node.client().await;
    for key in [KEY, OTHER_KEY] {
        assert_eq!(code_of(&mut client, APP, ADMIN, &Claims { key, ..Claims::good() }.sign()).await, 0);
    }
    let other = Claims { app: OTHER_APP, key: OTHER_KEY, ..Claims::good() };
    assert_eq!(code_of(&mut client, OTHER_APP, ADMIN, &other.sign()).await, 60016);
    assert_eq!(code_of(&mut client, OTHER_APP, ADMIN, "nonsense").await, 60016);
}

#[tokio::test]
async fn who_fails_too_often_has_to_wait() {
    let node = Node::start_with(fail_limit(3));
    let mut client = node.client().await;
    let good = Claims::good().sign();
    let expired = Claims { time: 1_700_000_000, ..Claims::good() }.sign();
    for _ in 0..5 {
        // Genuine, so no guessing.
        assert_eq!(code_of(&mut client, APP, ADMIN, &expired).await, 70001);
    }
    for _ in 0..3 {
        assert_eq!(code_of(&mut client, APP, ADMIN, "nonsense").await, 70003);
    }
    assert_eq!(code_of(&mut client, APP, ADMIN, &good).await, 70050);
    assert_eq!(code_of(&mut client, APP, ADMIN, "nonsense").await, 70050);
    // The address is locked out, whoever it says it is.
    let other = Claims { app: OTHER_APP, key: OTHER_KEY, ..Claims::good() }.sign();
    assert_eq!(code_of(&mut client, OTHER_APP, ADMIN, &other).await, 70050);
    // Unknown apps are known to be unknown all the same.
    assert_eq!(code_of(&mut client, 7, ADMIN, &good).await, 70020);
}
