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
mod ban_group_member;
mod change_group_owner;
mod clear_group_attr;
mod create_group;
mod delete_group_attr;
mod delete_group_counter;
mod delete_group_member;
mod destroy_group;
mod forbid_send_msg;
mod get_appid_group_list;
mod get_group_attr;
mod get_group_ban_member;
mod get_group_counter;
mod get_group_info;
mod get_group_member_info;
mod get_group_muted_account;
mod get_joined_group_list;
mod get_role_in_group;
mod get_specified_group_member_info;
mod import_group;
mod import_group_member;
mod modify_admin;
mod modify_group_attr;
mod modify_group_base_info;
mod modify_group_member_info;
mod set_group_attr;
mod update_group_counter;

mod accounts;
mod apps;
mod bad_input;
mod client_req_id;
mod concurrency;
mod ctl;
mod envelope;
mod fields;
mod kept_answers;
mod limit_keys;
mod model;
mod openapi;
mod overload;
mod quotas;
mod rates;
mod rights;
mod settings;
mod usersig;
