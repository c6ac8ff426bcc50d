//! The prefix of a row of the state: what its memtable is divided by.
//!
//! A sorted memtable of half a million rows costs a walk of twenty cache misses for every row written. Divided by
//! prefix, a row is sorted in among the few dozen that share its own. Rows of one prefix are still in order; rows of
//! several are put in order only when somebody asks, which sorts the whole memtable and is left to examinations.

/// The slot, the generation and the kind that a key begins with: a scan for a command stays within them.
const PREFIX_BYTES: usize = 7;

/// The prefix of a key; of a shorter one the key itself.
pub(crate) fn of(key: &[u8]) -> &[u8] {
    &key[..key.len().min(PREFIX_BYTES)]
}

/// Whether `from <= key < to` holds keys of one prefix only, that of `from`.
pub(crate) fn is_shared(from: &[u8], to: &[u8]) -> bool {
    let prefix = of(from);
    prefix.len() == PREFIX_BYTES && (of(to) == prefix || is_next(prefix, to))
}

/// Whether `to` is the first key behind all keys with this prefix.
fn is_next(prefix: &[u8], to: &[u8]) -> bool {
    let (Some((last, head)), Some((to_last, to_head))) = (prefix.split_last(), to.split_last()) else { return false };
    head == to_head && last.checked_add(1) == Some(*to_last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_one_prefix_is_told_from_wider_ones() {
        for (from, to, shared) in [
            (&b"prefix1"[..], &b"prefix1"[..], true),
            (b"prefix1", b"prefix1\xff\xff", true),
            (b"prefix1abc", b"prefix1abd", true),
            (b"prefix1abc", b"prefix2", true),
            (b"prefix1", b"prefix2", true),
            // Its own first key would be inside.
            (b"prefix1", b"prefix2\0", false),
            (b"prefix1", b"prefix3", false),
            (b"prefix\xff", b"prefiy\0", false),
            (b"prefix", b"prefix1", false),
            (b"", b"prefix1", false),
            (b"prefix1", b"", false),
            (b"a", b"z", false),
        ] {
            assert_eq!(is_shared(from, to), shared, "{from:?} {to:?}");
        }
    }

    #[test]
    fn a_short_key_is_its_own_prefix() {
        assert_eq!((of(b""), of(b"short"), of(b"longer key")), (&b""[..], &b"short"[..], &b"longer "[..]));
    }
}
