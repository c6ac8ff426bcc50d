//! The commands of the admin plane, one endpoint per file: read the body, one command or read, render.
//!
//! No rules here: what a group allows is decided behind [`Service`](crate::actors::Service).

pub mod add_group_member;
pub mod create_group;
pub mod delete_group_member;
pub mod destroy_group;
pub mod get_group_info;
pub mod get_group_member_info;
pub mod get_joined_group_list;
pub mod modify_group_base_info;

#[cfg(test)]
mod testing;
