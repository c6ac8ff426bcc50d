//! `get_group_shutted_uin`: the older name of `get_group_muted_account`, with older names in its answer.
//!
//! Source: docs/spec/rest-api.md 4.15.

use super::get_group_muted_account::{Names, answer};
use crate::actors::Service;
use crate::api::Call;
use crate::api::body::Object;
use crate::api::error::Failure;

const NAMES: Names = Names { list: "ShuttedUinList", until: "ShuttedUntil" };

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    answer(service, call, body, &NAMES).await
}

#[cfg(test)]
mod tests {
    use super::super::get_group_muted_account::render;
    use super::super::testing::{Bench, account, text};
    use super::*;
    use crate::id::GroupId;

    #[test]
    fn answers() {
        let group = GroupId::parse("g").unwrap();
        let muted = [(account("piet"), 1_788_012_345)];
        assert_eq!(
            Bench::new().call(|call| render(call, &group, &muted, &NAMES).map(text)).unwrap(),
            r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"GroupId":"g","ShuttedUinList":[{"Member_Account":"piet","ShuttedUntil":1788012345}]}"#
        );
    }
}
