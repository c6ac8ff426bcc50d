//! What every command shares: address line, method, body, answer, connection (docs/spec/rest-api.md 2).
//!
//! The signature has a file of its own, [`usersig`](crate::usersig), and nodes of its own.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::expect;
use crate::shared::{self, client, create, info, listed, unique, unique_id};
use crate::support::{ADMIN, APP, Client, KEY, query};

/// Longest a test waits for a connection to say something.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The code of an answer that has to be a proper one: HTTP 200, and the envelope consistent.
fn code(answer: Result<(u16, bytes::Bytes), String>) -> u64 {
    let (status, body) = answer.expect("an answer");
    let text = String::from_utf8_lossy(&body);
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{e}: {text}"));
    let code = answer["ErrorCode"].as_u64().unwrap_or_else(|| panic!("no code: {text}"));
    assert_eq!(answer["ActionStatus"], if code == 0 { "OK" } else { "FAIL" }, "{text}");
    assert!(answer["ErrorInfo"].as_str().is_some_and(|info| info.is_empty() == (code == 0)), "{text}");
    code
}

fn path(command: &str) -> String {
    format!("/v4/group_open_http_svc/{command}?{}", query(APP, KEY, ADMIN))
}

/// The code of an otherwise good read whose address line is that.
async fn code_of(client: &mut Client, path: &str) -> u64 {
    code(client.raw("POST", path, r#"{"GroupIdList":["nobody"]}"#).await)
}

/// The code of a creation with that body as it stands; the id in it must not exist afterwards.
async fn code_of_body(client: &mut Client, body: impl Into<bytes::Bytes>) -> u64 {
    code(client.raw("POST", &path("create_group"), body).await)
}

#[tokio::test]
async fn parameters_of_the_address_line() {
    let mut client = client().await;
    let good = query(APP, KEY, ADMIN);
    let usersig = good.split('&').find_map(|p| p.strip_prefix("usersig=")).expect("a signature").to_owned();
    let app = format!("sdkappid={APP}");
    let escaped = usersig.replace('*', "%2A").replace('-', "%2d").replace('_', "%5F");
    let with = |identifier: &str, more: &str| format!("{app}&identifier={identifier}&usersig={usersig}{more}");
    for (query, expected) in [
        (with(ADMIN, "&random=7&contenttype=json"), 0),
        // Order is free, and what is not needed need not be there.
        (format!("contenttype=json&usersig={usersig}&random=0&{app}&identifier={ADMIN}"), 0),
        (with(ADMIN, ""), 0),
        (with(ADMIN, "&random=4294967295"), 0),
        (with(ADMIN, "&random=2147483648&random=2147483648"), 0),
        (with(ADMIN, "&random=&contenttype=xml&unknown=%20"), 0),
        (with(ADMIN, "&random=99999999999999999999"), 0),
        (format!("{app}&identifier=%61dministrator&usersig={escaped}"), 0),
        // sdkappid
        (format!("identifier={ADMIN}&usersig={usersig}"), 60012),
        (format!("SdkAppId={APP}&identifier={ADMIN}&usersig={usersig}"), 60012),
        (String::new(), 60012),
        (format!("sdkappid=&identifier={ADMIN}&usersig={usersig}"), 60025),
        (format!("sdkappid=abc&identifier={ADMIN}&usersig={usersig}"), 60025),
        (format!("sdkappid=-1&identifier={ADMIN}&usersig={usersig}"), 60025),
        (format!("sdkappid=1.5&identifier={ADMIN}&usersig={usersig}"), 60025),
        (format!("sdkappid=4294967296&identifier={ADMIN}&usersig={usersig}"), 60025),
        (format!("sdkappid=1399999999&identifier={ADMIN}&usersig={usersig}"), 70020),
        // identifier
        (format!("{app}&usersig={usersig}"), 60025),
        (with("", ""), 60004),
        (with(&"x".repeat(33), ""), 60004),
        (with("a%00b", ""), 60004),
        (with("k%C3%A4se", ""), 60004),
        // usersig
        (format!("{app}&identifier={ADMIN}"), 60025),
        (format!("{app}&identifier={ADMIN}&usersig="), 70002),
        // What is no percent-encoding
        (with("admin%zz", ""), 60002),
        (with("admin%2", ""), 60002),
        // The first that is wrong is said.
        (format!("sdkappid=abc&usersig={usersig}"), 60025),
        ("identifier=&usersig=".to_owned(), 60012),
    ] {
        let path = format!("/v4/group_open_http_svc/get_group_info?{query}");
        assert_eq!(code_of(&mut client, &path).await, expected, "{query}");
    }
    assert_eq!(code_of(&mut client, "/v4/group_open_http_svc/get_group_info").await, 60012);
}

#[tokio::test]
async fn services_and_commands() {
    let mut client = client().await;
    let query = query(APP, KEY, ADMIN);
    for service in [
        "group_open_http_svc",
        "group_open_attr_http_svc",
        "group_open_avchatroom_http_svc",
        "million_group_open_http_svc",
    ] {
        for (command, expected) in [("get_group_info", 0), ("no_such_command", 10003), ("GET_GROUP_INFO", 10003)] {
            let path = format!("/v4/{service}/{command}?{query}");
            assert_eq!(code_of(&mut client, &path).await, expected, "{path}");
        }
    }
    for (path, expected) in [
        // A command belongs to its service.
        ("/v4/im_open_login_svc/get_group_info", 10003),
        ("/v4/im_open_login_svc/no_such_command", 10003),
        ("/v4/group_open_http_svc/account_check", 10003),
        ("/v4/openim/get_group_info", 60009),
        ("/v4/Group_open_http_svc/get_group_info", 60009),
        ("/v4/no_such_service/no_such_command", 60009),
        ("/", 60002),
        ("/v4", 60002),
        ("/v4/group_open_http_svc", 60002),
        ("/v4/group_open_http_svc/get_group_info/more", 60002),
        ("/v4/group_open_http_svc/", 60002),
        ("/v4//get_group_info", 60002),
    ] {
        assert_eq!(code_of(&mut client, &format!("{path}?{query}")).await, expected, "{path}");
    }
}

#[tokio::test]
async fn the_method_is_post() {
    let mut client = client().await;
    let id = create(&mut client, "Public", json!({})).await;
    let body = json!({"GroupId": id}).to_string();
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        assert_eq!(code(client.raw(method, &path("destroy_group"), body.clone()).await), 60002, "{method}");
    }
    assert_eq!(info(&mut client, &id).await["ErrorCode"], 0);
}

/// A published SDK checks accounts by GET, with the list in the body.
#[tokio::test]
async fn accounts_may_be_checked_by_get() {
    let mut client = client().await;
    let path = format!("/v4/im_open_login_svc/account_check?{}", query(APP, KEY, ADMIN));
    let body = json!({"CheckItem": [{"UserID": ADMIN}, {"UserID": "never.seen"}]}).to_string();
    let (_, by_post) = client.raw("POST", &path, body.clone()).await.expect("an answer");
    let (_, by_get) = client.raw("GET", &path, body).await.expect("an answer");
    assert_eq!(by_get, by_post);
    let answer: Value = serde_json::from_slice(&by_get).expect("JSON");
    assert_eq!(answer["ResultItem"][0]["AccountStatus"], "Imported", "{answer}");
    assert_eq!(code(client.raw("GET", &path, "").await), 70402);
    // Nothing that changes anything is.
    for command in ["account_import", "multiaccount_import", "account_delete"] {
        let path = format!("/v4/im_open_login_svc/{command}?{}", query(APP, KEY, ADMIN));
        assert_eq!(code(client.raw("GET", &path, "{}").await), 60002, "{command}");
    }
}

/// This command may be asked for by GET, too, with or without a body; it goes the way of all others.
#[tokio::test]
async fn all_groups_may_be_listed_by_get() {
    let mut client = client().await;
    let by_post = code(client.raw("POST", &path("get_appid_group_list"), "{}").await);
    for body in ["", "{}", r#"{"Limit":1}"#] {
        assert_eq!(code(client.raw("GET", &path("get_appid_group_list"), body).await), by_post, "{body:?}");
    }
    for (path, expected) in [
        ("/v4/group_open_http_svc/get_appid_group_list".to_owned(), 60012),
        (format!("/v4/group_open_http_svc/get_appid_group_list?{}", query(APP, KEY, "bob")), 60010),
        (format!("/v4/im_open_login_svc/get_appid_group_list?{}", query(APP, KEY, ADMIN)), 60002),
    ] {
        assert_eq!(code(client.raw("GET", &path, "").await), expected, "{path}");
    }
    for method in ["HEAD", "PUT"] {
        let (status, _) = client.raw(method, &path("get_appid_group_list"), "").await.expect("an answer");
        assert_eq!(status, 200, "{method}");
    }
    assert_eq!(code(client.raw("PUT", &path("get_appid_group_list"), "").await), 60002);
}

#[tokio::test]
async fn a_body_is_one_json_object() {
    let mut client = client().await;
    let id = unique("g");
    let text = |more: &str| format!(r#"{{"Type":"Public","Name":"club","GroupId":"{id}"{more}}}"#);
    let whole = text("");
    let mut bad: Vec<Vec<u8>> = vec![
        Vec::new(),
        b" \n\t".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"true".to_vec(),
        b"7".to_vec(),
        b"\"text\"".to_vec(),
        format!("[{whole}]").into_bytes(),
        format!("{whole} x").into_bytes(),
        format!("{whole}{whole}").into_bytes(),
        whole.as_bytes()[..whole.len() - 1].to_vec(),
        whole.replace("\"Type\"", "Type").into_bytes(),
        whole.replace('"', "'").into_bytes(),
        text(",").into_bytes(),
        text(r#","x":01"#).into_bytes(),
        text(r#","x":NaN"#).into_bytes(),
        text(r#","x":"a"b"#).into_bytes(),
        text(",\"x\":\"raw\u{1}control\"").into_bytes(),
        b"Type=Public&Name=club".to_vec(),
    ];
    // Not UTF-8, in a value that is used and in one that is not.
    bad.push(whole.clone().into_bytes().into_iter().map(|b| if b == b'c' { 0xff } else { b }).collect());
    let mut unused = text(r#","x":"?""#).into_bytes();
    let mark = unused.iter().position(|b| *b == b'?').expect("a mark");
    unused[mark] = 0xc3;
    bad.push(unused);
    for body in bad {
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(code_of_body(&mut client, body).await, 60003, "{shown}");
    }
    assert_eq!(info(&mut client, &id).await["ErrorCode"], 10010, "something created it");
    // White space around it is JSON's own.
    assert_eq!(code_of_body(&mut client, format!("\r\n {whole}\t\n")).await, 0);
}

#[tokio::test]
async fn nesting_and_length_are_bounded() {
    let mut client = client().await;
    let id = unique("g");
    for (open, close) in [("[", "]"), (r#"{"x":"#, "}")] {
        for depth in [200, 100_000] {
            let inner = if open == "[" { "" } else { "0" };
            let bomb = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            let body = format!(r#"{{"Type":"Public","Name":"club","GroupId":"{id}","x":{bomb}}}"#);
            let code = code_of_body(&mut client, body).await;
            // However deep an unknown field may be: an answer, and the node lives.
            assert!(matches!(code, 0 | 60003), "{code}");
            if code == 0 {
                client.ok("destroy_group", json!({"GroupId": id})).await;
            }
            assert_eq!(code_of_body(&mut client, open.repeat(depth)).await, 60003);
        }
    }
    const BODY_BYTES_MAX: usize = 1_048_576;
    let body = format!(r#"{{"Type":"Public","Name":"club","GroupId":"{id}"}}"#);
    let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
    for bytes in [BODY_BYTES_MAX + 1, 2 * BODY_BYTES_MAX] {
        // The connection may end with the answer, so each has one of its own.
        let mut client = shared::client().await;
        assert_eq!(code_of_body(&mut client, padded(bytes)).await, 60003);
    }
    assert_eq!(info(&mut client, &id).await["ErrorCode"], 10010);
    assert_eq!(code_of_body(&mut client, padded(BODY_BYTES_MAX)).await, 0);
}

#[tokio::test]
async fn the_last_of_two_equal_keys_counts() {
    let mut client = client().await;
    let (first, last) = (unique("g"), unique("g"));
    let body = format!(r#"{{"Type":"Work","GroupId":"{first}","Name":"club","Type":"Public","GroupId":"{last}"}}"#);
    assert_eq!(code_of_body(&mut client, body).await, 0);
    assert_eq!(info(&mut client, &first).await["ErrorCode"], 10010);
    assert_eq!(info(&mut client, &last).await["Type"], "Public");
}

#[tokio::test]
async fn texts_may_hold_any_character() {
    let mut client = client().await;
    let id = unique("g");
    let body = format!(r#"{{"Type":"Public","Name":"\ud83e\udd80\u0000\/\"\\","GroupId":"{id}"}}"#);
    assert_eq!(code_of_body(&mut client, body).await, 0);
    assert_eq!(info(&mut client, &id).await["Name"], "\u{1f980}\u{0}/\"\\");
    // Half a character is none.
    let id = unique("g");
    let body = format!(r#"{{"Type":"Public","Name":"\ud83e","GroupId":"{id}"}}"#);
    let code = code_of_body(&mut client, body).await;
    assert!(matches!(code, 60003 | 10004), "{code}");
    assert_eq!(info(&mut client, &id).await["ErrorCode"], 10010);
}

#[tokio::test]
async fn the_order_of_checks() {
    let mut client = client().await;
    let no_admin = query(APP, KEY, "bob");
    let url = |command: &str, query: &str| format!("/v4/group_open_http_svc/{command}?{query}");
    let good = query(APP, KEY, ADMIN);
    for (path, body, expected) in [
        (url("no_such_command", &no_admin), "", 60010),
        (url("get_group_info", &no_admin), "", 60010),
        (url("no_such_command", "sdkappid=1"), "", 60025),
        (url("no_such_command", &good), "", 10003),
        (url("destroy_group", &good), "", 60003),
        (url("destroy_group", &good), "{}", 10004),
    ] {
        assert_eq!(code(client.raw("POST", &path, body).await), expected, "{path} {body}");
    }
}

/// A connection that sends bytes as they are.
struct Raw {
    stream: TcpStream,
    /// Received and not yet taken.
    received: Vec<u8>,
}

impl Raw {
    async fn connect() -> Self {
        Self { stream: TcpStream::connect(shared::address()).await.expect("a connection"), received: Vec::new() }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the node takes it");
    }

    /// Receives more; false: the node closed the connection.
    async fn receive(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(READ_TIMEOUT, self.stream.read(&mut buffer)).await.expect("an answer in time");
        // A reset is an end, too.
        let count = read.unwrap_or(0);
        self.received.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// The next answer: its head in lower case, and its body.
    async fn answer(&mut self) -> (String, Vec<u8>) {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            assert!(self.receive().await, "closed before an answer: {}", String::from_utf8_lossy(&self.received));
        };
        let head = String::from_utf8_lossy(&self.received[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let length: usize = length.trim().parse().expect("a number");
        let body = end + 4;
        while self.received.len() < body + length {
            assert!(self.receive().await, "closed within an answer");
        }
        let answer = self.received[body..body + length].to_vec();
        self.received.drain(..body + length);
        (head, answer)
    }

    /// The next answer has to be this one.
    async fn answers(&mut self, expected: &Value) -> String {
        let (head, body) = self.answer().await;
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(&body, expected, "{head}");
        head
    }

    async fn is_closed(&mut self) -> bool {
        while self.receive().await {}
        true
    }
}

/// A read of a group that does not exist, and its answer.
fn a_read(version: &str, headers: &str) -> (Vec<u8>, Value) {
    let id = unique_id("Public");
    let body = json!({"GroupIdList": [id]}).to_string();
    let head = format!(
        "POST {} HTTP/{version}\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n",
        path("get_group_info"),
        shared::address(),
        body.len()
    );
    let gone = json!({"GroupId": id, "ErrorCode": 10010, "ErrorInfo": "this group does not exist"});
    ([head, body].concat().into_bytes(), expect::group_info(gone))
}

#[tokio::test]
async fn answers_say_what_they_are() {
    let mut raw = Raw::connect().await;
    let (request, expected) = a_read("1.1", "");
    raw.send(&request).await;
    let head = raw.answers(&expected).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json; charset=utf-8"), "{head}");
}

#[tokio::test]
async fn content_types_are_ignored() {
    for header in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
        let mut raw = Raw::connect().await;
        let (request, expected) = a_read("1.1", header);
        raw.send(&request).await;
        raw.answers(&expected).await;
    }
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let mut raw = Raw::connect().await;
    for _ in 0..20 {
        let (request, expected) = a_read("1.1", "");
        raw.send(&request).await;
        raw.answers(&expected).await;
    }
    // Also many at once, answered in order.
    let pairs: Vec<_> = (0..20).map(|_| a_read("1.1", "")).collect();
    let all: Vec<u8> = pairs.iter().flat_map(|(request, _)| request.clone()).collect();
    raw.send(&all).await;
    for (_, expected) in &pairs {
        raw.answers(expected).await;
    }
}

#[tokio::test]
async fn http_1_0_keeps_its_connection_if_it_asks_to() {
    let mut raw = Raw::connect().await;
    // Neither a type of content nor a `random` that differs is needed.
    for _ in 0..3 {
        let (request, expected) = a_read("1.0", "Connection: keep-alive\r\n");
        raw.send(&request).await;
        let head = raw.answers(&expected).await;
        assert!(head.contains("connection: keep-alive"), "{head}");
    }
    let (request, expected) = a_read("1.0", "");
    raw.send(&request).await;
    raw.answers(&expected).await;
    assert!(raw.is_closed().await);
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let mut raw = Raw::connect().await;
    let id = unique("g");
    let body = format!(r#"{{"Type":"Public","Name":"club","GroupId":"{id}"}}"#);
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path("create_group"));
    raw.send(head.as_bytes()).await;
    for part in body.as_bytes().chunks(7) {
        raw.send(format!("{:x}\r\n", part.len()).as_bytes()).await;
        raw.send(part).await;
        raw.send(b"\r\n").await;
    }
    raw.send(b"0\r\n\r\n").await;
    raw.answers(&expect::ok(json!({"GroupId": id}))).await;
    let mut client = client().await;
    assert_eq!(info(&mut client, &id).await["Name"], "club");
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let mut raw = Raw::connect().await;
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path("create_group"));
    raw.send(head.as_bytes()).await;
    let chunk = format!("{:x}\r\n{}\r\n", 65_536, " ".repeat(65_536));
    // Until it is too much for the node: then the write fails, or the answer is there.
    for _ in 0..40 {
        if raw.stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    // The answer may be lost with the connection; the node is not.
    while raw.receive().await {
        if String::from_utf8_lossy(&raw.received).contains("60003") {
            break;
        }
    }
    let mut client = client().await;
    create(&mut client, "Public", json!({})).await;
}

#[tokio::test]
async fn garbage_harms_only_its_own_connection() {
    let mut other = client().await;
    let id = create(&mut other, "Public", json!({"MemberList": listed(&["bob"])})).await;
    let before = info(&mut other, &id).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"DELETE everything\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"POST /v4/group_open_http_svc/destroy_group HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ] {
        let mut raw = Raw::connect().await;
        // Behind a good request: that one is answered first.
        let (request, expected) = a_read("1.1", "");
        raw.send(&request).await;
        raw.send(garbage).await;
        raw.answers(&expected).await;
        // No second answer that says OK.
        raw.stream.shutdown().await.ok();
        while raw.receive().await {}
        assert!(!String::from_utf8_lossy(&raw.received).contains("\"OK\""));
    }
    // A request that never ends is forgotten with its connection.
    let mut raw = Raw::connect().await;
    let (request, _) = a_read("1.1", "");
    raw.send(&request[..request.len() - 5]).await;
    drop(raw);
    assert_eq!(info(&mut other, &id).await, before);
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let mut raw = Raw::connect().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..3 {
        let (request, expected) = a_read("1.1", "");
        raw.send(&request).await;
        let head = raw.answers(&expected).await;
        let id = head.lines().find_map(|line| line.strip_prefix("x-muster-request-id: ")).expect("an id").to_owned();
        assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        ids.insert(id);
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_stale_read_says_how_old_it_may_be() {
    let (request, expected) = a_read("1.1", "X-Muster-Consistency: stale\r\n");
    let mut raw = Raw::connect().await;
    raw.send(&request).await;
    let head = raw.answers(&expected).await;
    let age = head.lines().find_map(|line| line.strip_prefix("x-muster-stale-ms: ")).expect("an age");
    assert!(
        age.parse::<u64>().is_ok_and(|millis| millis < 1_000),
        "all is led here, so it is as old as its way: {age}"
    );
    // Another word is no such wish.
    let (request, expected) = a_read("1.1", "X-Muster-Consistency: strong\r\n");
    raw.send(&request).await;
    assert!(!raw.answers(&expected).await.contains("x-muster-stale-ms"));
}

/// As Java's client does with every request, for another protocol that is not spoken here.
#[tokio::test]
async fn who_offers_another_protocol_is_answered_and_told_that_the_connection_ends() {
    for offer in ["h2c", "HTTP/2.0"] {
        let mut raw = Raw::connect().await;
        let headers = format!(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {offer}\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        );
        let (request, expected) = a_read("1.1", &headers);
        raw.send(&request).await;
        let head = raw.answers(&expected).await;
        assert!(head.contains("connection: close"), "{head}");
        assert!(raw.is_closed().await);
    }
}
