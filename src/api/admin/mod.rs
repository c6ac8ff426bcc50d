//! The commands of the admin plane, one endpoint per file: read the body, one command or read, render.
//!
//! No rules here: what a group allows is decided behind [`Service`](crate::actors::Service).

pub mod add_group_member;
pub mod ban_group_member;
pub mod change_group_owner;
pub mod clear_group_attr;
pub mod create_group;
pub mod delete_group_attr;
pub mod delete_group_counter;
pub mod delete_group_member;
pub mod destroy_group;
pub mod forbid_send_msg;
pub mod get_admin_list;
pub mod get_appid_group_list;
pub mod get_group_attr;
pub mod get_group_ban_member;
pub mod get_group_counter;
pub mod get_group_info;
pub mod get_group_member_info;
pub mod get_group_muted_account;
pub mod get_group_shutted_uin;
pub mod get_joined_group_list;
pub mod get_role_in_group;
pub mod get_specified_group_member_info;
pub mod import_group;
pub mod import_group_member;
pub mod modify_admin;
pub mod modify_group_attr;
pub mod modify_group_base_info;
pub mod modify_group_member_info;
pub mod set_group_attr;
pub mod unban_group_member;
pub mod update_group_counter;

mod attributes;
mod topic;

#[cfg(test)]
mod describing;
#[cfg(test)]
pub(super) mod testing;
