//! `destroy_group`. Source: docs/spec/rest-api.md 4.10.

use crate::actors::Service;
use crate::api::Call;
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::api::json::Json;
use crate::group::{Command, Destroy};

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    let group = body.group_id("GroupId")?;
    call.submit(service, &group, Command::Destroy(Destroy { operator: call.operator() })).await?;
    Ok(Json::ok().finish())
}
