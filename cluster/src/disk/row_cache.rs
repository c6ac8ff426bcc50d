//! Rows kept in memory: the newest applied values of rows that are looked up again and again.
//!
//! A row that is read is kept unless it is written meanwhile: the reader marks its place before it reads, and a write
//! takes the mark away. A row that is written is kept at once. So what is kept is never older than what was applied.

use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, GuardResult};

use super::DiskError;

/// Larger rows are not kept: a few of them would push out all others.
const KEPT_ROW_BYTES_MAX: usize = 4 * 1024;
/// What a kept row takes beside key and value, roughly.
const KEPT_OVERHEAD_BYTES: usize = 150;
/// What a usual row takes: how many there may be is guessed from it, what they take is counted.
const KEPT_BYTES_USUAL: usize = 250;

#[derive(Clone)]
struct ByBytes;

impl Weighter<Vec<u8>, Bytes> for ByBytes {
    fn weight(&self, key: &Vec<u8>, value: &Bytes) -> u64 {
        (KEPT_OVERHEAD_BYTES + key.len() + value.len()) as u64
    }
}

/// Rows of all shards of a node; their keys tell them apart.
pub(crate) struct RowCache(Option<Cache<Vec<u8>, Bytes, ByBytes>>);

impl RowCache {
    /// `bytes_max`: what the rows may take together; 0 keeps none.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let cache = || Cache::with_weighter(bytes_max / KEPT_BYTES_USUAL + 1, bytes_max as u64, ByBytes);
        Self((bytes_max > 0).then(cache))
    }

    /// Reads a row from here, else by `read`, which must see what was applied before.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn read<T>(
        &self,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> T,
        read: impl FnOnce() -> Result<Option<Bytes>, DiskError>,
    ) -> Result<Option<T>, DiskError> {
        let Some(cache) = &self.0 else { return Ok(read()?.map(|value| decode(&value))) };
        // Nobody waits for another's read: whoever comes meanwhile reads for itself.
        let place = match cache.get_value_or_guard(key, Some(Duration::ZERO)) {
            GuardResult::Value(value) => return Ok(Some(decode(&value))),
            GuardResult::Guard(place) => Some(place),
            GuardResult::Timeout => None,
        };
        let value = read()?;
        if let (Some(place), Some(value)) = (place, &value)
            && value.len() <= KEPT_ROW_BYTES_MAX
        {
            // Refused if the row was written meanwhile.
            let _ = place.insert(value.clone());
        }
        Ok(value.map(|value| decode(&value)))
    }

    #[cfg(test)]
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.0.as_ref()?.get(key)
    }

    /// A row has this value from now on; `None`: it is deleted. To be called where readers cannot have seen it yet.
    pub(crate) fn applied(&self, key: &[u8], value: Option<&[u8]>) {
        let Some(cache) = &self.0 else { return };
        match value {
            Some(value) if value.len() <= KEPT_ROW_BYTES_MAX => {
                cache.insert(key.to_vec(), Bytes::copy_from_slice(value));
            }
            _ => drop(cache.remove(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cache: &RowCache, key: &str, stored: Option<&'static str>) -> Option<Vec<u8>> {
        cache.read(key.as_bytes(), <[u8]>::to_vec, || Ok(stored.map(Bytes::from))).expect("read")
    }

    #[test]
    fn a_row_that_was_read_is_not_read_again() {
        let cache = RowCache::new(1 << 20);
        assert_eq!(read(&cache, "k", None), None);
        assert_eq!(read(&cache, "k", Some("v")), Some(b"v".to_vec()), "what is absent is looked for again");
        assert_eq!(read(&cache, "k", Some("other")), Some(b"v".to_vec()));
        cache.applied(b"k", Some(b"w"));
        assert_eq!(read(&cache, "k", None), Some(b"w".to_vec()));
        cache.applied(b"k", None);
        assert_eq!(read(&cache, "k", None), None);
    }

    #[test]
    fn a_row_that_is_written_while_it_is_read_is_kept_as_it_was_written() {
        for value in [Some(Bytes::from("new")), None] {
            let cache = RowCache::new(1 << 20);
            let read_while_written = cache.read(b"k", <[u8]>::to_vec, || {
                cache.applied(b"k", value.as_deref());
                Ok(Some(Bytes::from("old")))
            });
            assert_eq!(read_while_written.expect("read"), Some(b"old".to_vec()));
            assert_eq!(cache.get(b"k"), value);
        }
    }

    #[test]
    fn who_reads_while_another_reads_does_not_wait() {
        let cache = RowCache::new(1 << 20);
        let outer = cache.read(b"k", <[u8]>::to_vec, || {
            assert_eq!(read(&cache, "k", Some("inner")), Some(b"inner".to_vec()));
            Ok(Some(Bytes::from("outer")))
        });
        assert_eq!(outer.expect("read"), Some(b"outer".to_vec()));
        assert_eq!(cache.get(b"k"), Some(Bytes::from("outer")));
    }

    #[test]
    fn a_read_that_fails_leaves_nothing_behind() {
        let cache = RowCache::new(1 << 20);
        let failed = cache.read(b"k", <[u8]>::to_vec, || Err(DiskError::Failed("no".into())));
        assert!(failed.is_err());
        assert_eq!(read(&cache, "k", Some("v")), Some(b"v".to_vec()));
    }

    #[test]
    fn a_row_that_grows_too_large_is_not_kept_as_it_was() {
        let cache = RowCache::new(1 << 20);
        cache.applied(b"k", Some(b"small"));
        cache.applied(b"k", Some(&[0; KEPT_ROW_BYTES_MAX + 1]));
        assert_eq!(cache.get(b"k"), None);
    }

    #[test]
    fn all_rows_take_no_more_than_they_may() {
        let cache = RowCache::new(100_000);
        for n in 0..10_000_u32 {
            cache.applied(&n.to_be_bytes(), Some(b"value"));
            assert!(cache.0.as_ref().expect("a cache").weight() <= 100_000);
        }
        assert!((0..10_000_u32).any(|n| cache.get(&n.to_be_bytes()).is_some()));
        let none = RowCache::new(0);
        none.applied(b"k", Some(b"v"));
        assert_eq!((none.get(b"k"), read(&none, "k", Some("w"))), (None, Some(b"w".to_vec())));
    }
}
