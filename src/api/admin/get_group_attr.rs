//! `get_group_attr`. Source: docs/spec/rest-api.md 4.19 to 4.23.

use crate::actors::Service;
use crate::api::Call;
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let group = body.group_id("GroupId")?;
    let attributes = service.attributes(call.app, &group, call.deadline).await?;
    render(call, &attributes.values)
}

fn render(call: &Call<'_>, attributes: &[(String, String)]) -> Result<Vec<u8>, Failure> {
    let mut json = Json::ok();
    json.list("GroupAttrAry", |json| {
        for (key, value) in attributes {
            json.item(|json| {
                json.text("key", key);
                json.text("value", value);
            });
        }
    });
    call.sized(json)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, code, text};
    use super::*;
    use crate::config::Config;

    #[test]
    fn answers() {
        let answer = |values: &[(String, String)]| Bench::new().call(|call| render(call, values).map(text));
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            answer(&[pair("leader", "otto"), pair("route", "\"north\"")]).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupAttrAry":[{"key":"leader","value":"otto"},{"key":"route","value":"\"north\""}]}"#
        );
        assert_eq!(answer(&[]).unwrap(), r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupAttrAry":[]}"#);

        let mut config = Config::default();
        config.http.max_response_bytes = 1_024;
        let large = [pair("a", &"x".repeat(1_024))];
        assert_eq!(code(Bench::with(&config).call(|call| render(call, &large))), 10018);
    }
}
