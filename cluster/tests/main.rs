//! Shards without groups: order, durability, reads, restarts, damage.

mod damage;
mod durability;
mod folder;
mod inspect;
mod joining;
mod recorder;
mod replication;
mod stop;
