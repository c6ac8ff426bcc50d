//! Answers, rendered straight into bytes.
//!
//! A comma is due exactly when what was written last is not an opening; nothing else has to be remembered.

use serde::Serialize;

use super::error::Failure;

/// What most answers fit into, so that they are allocated once.
const ANSWER_BYTES_USUAL: usize = 256;

/// An answer being written.
pub struct Json {
    out: Vec<u8>,
}

impl Json {
    /// Begins an answer with the envelope of success. Source: docs/spec/rest-api.md 2.4.
    pub fn ok() -> Self {
        let mut out = Vec::with_capacity(ANSWER_BYTES_USUAL);
        out.extend_from_slice(br#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0"#);
        Self { out }
    }

    /// Ends the answer.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    /// Bytes so far: an answer that grows too large is given up while it is written.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Makes room for what is about to be written, so that it is not moved while it grows.
    pub fn expect(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Writes a text of ours, which needs no escapes.
    pub fn word(&mut self, field: &str, word: &'static str) {
        self.key(field);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    pub fn text(&mut self, field: &str, text: &str) {
        self.key(field);
        self.value(text);
    }

    pub fn number(&mut self, field: &str, number: u64) {
        self.key(field);
        self.value(&number);
    }

    /// Writes a number that may be negative.
    pub fn signed(&mut self, field: &str, number: i64) {
        self.key(field);
        self.value(&number);
    }

    /// Opens a list, or an item list's field; items follow by [`Json::item`].
    pub fn list(&mut self, field: &str, fill: impl FnOnce(&mut Self)) {
        self.key(field);
        self.out.push(b'[');
        fill(self);
        self.out.push(b']');
    }

    /// Writes an object as a field.
    pub fn object(&mut self, field: &str, fill: impl FnOnce(&mut Self)) {
        self.key(field);
        self.braces(fill);
    }

    /// Writes an object as an item of a list.
    pub fn item(&mut self, fill: impl FnOnce(&mut Self)) {
        self.comma();
        self.braces(fill);
    }

    /// Writes a text as an item of a list.
    pub fn text_item(&mut self, text: &str) {
        self.comma();
        self.value(text);
    }

    fn braces(&mut self, fill: impl FnOnce(&mut Self)) {
        self.out.push(b'{');
        fill(self);
        self.out.push(b'}');
    }

    /// Keys are ours and need no escapes.
    fn key(&mut self, field: &str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(field.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn comma(&mut self) {
        if !matches!(self.out.last(), Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        serde_json::to_writer(&mut self.out, value).expect("texts and numbers can be written to memory");
    }
}

/// The whole answer of a request that did not succeed.
pub fn failure(failure: &Failure) -> Vec<u8> {
    let mut json = Json { out: br#"{"ActionStatus":"FAIL""#.to_vec() };
    json.text("ErrorInfo", &failure.info);
    json.number("ErrorCode", u64::from(failure.code));
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut json = Json::ok();
        json.text("t", "a\"b\n\u{0}é{[");
        json.list("empty", |_| {});
        json.list("l", |json| {
            json.item(|json| json.number("n", u64::MAX));
            json.item(|_| {});
            json.item(|json| json.object("o", |json| json.text("x", "")));
            json.item(|json| json.signed("s", i64::MIN));
        });
        let expected = r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"t":"a\"b\n\u0000é{[","empty":[],"l":[{"n":18446744073709551615},{},{"o":{"x":""}},{"s":-9223372036854775808}]}"#;
        assert_eq!(String::from_utf8(json.finish()).unwrap(), expected);
        assert_eq!(
            String::from_utf8(failure(&Failure::new(10010, "no \"group\""))).unwrap(),
            r#"{"ActionStatus":"FAIL","ErrorInfo":"no \"group\"","ErrorCode":10010}"#
        );
    }
}
