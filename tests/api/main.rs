//! The REST API from outside: real nodes, HTTP over loopback, whole answers.
//!
//! One file per command, then what all commands share: envelope, signatures, apps, quotas, callers at the same time,
//! and a model that every answer of a long random sequence is compared with. Expectations come from docs/spec; where
//! a page and the node differ, the page is right.

#[path = "../support/mod.rs"]
mod support;

mod expect;
mod shared;

mod add_group_member;
mod create_group;
mod delete_group_member;
mod destroy_group;
mod get_group_info;
mod get_group_member_info;
mod get_joined_group_list;
mod modify_group_base_info;

mod apps;
mod concurrency;
mod envelope;
mod model;
mod quotas;
mod settings;
mod usersig;
