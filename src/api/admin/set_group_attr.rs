//! `set_group_attr`. Source: docs/spec/rest-api.md 4.19 to 4.23.

use super::attributes;
use crate::actors::Service;
use crate::api::Call;
use crate::api::body::Object;
use crate::api::error::Failure;
use crate::group::AttributeChange;

pub async fn handle(service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
    attributes::write(service, call, body, AttributeChange::Replace(attributes::read_pairs(body)?)).await
}
