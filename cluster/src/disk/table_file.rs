//! Checks the blocks of a table file that RocksDB does without: filters, properties and whatever else is not rows.
//!
//! RocksDB takes a filter that fails its checksum for no filter, and goes on. The rows read are right, yet a disk
//! that changed one byte will change another: the operator must hear of the first. It does not look at the blocks of
//! rows: reading every row checks those.
//!
//! Source: RocksDB 11.8, table/format.cc (footer, handles, checksums of format versions 6 and 7), table/meta_blocks.cc.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

const FOOTER_BYTES: usize = 53;
const MAGIC: u64 = 0x88e2_41b7_85f4_cff7;
const FORMATS: std::ops::RangeInclusive<u32> = 6..=7;
/// The only kind of checksum this binary lets RocksDB write.
const XXH3: u8 = 4;
const LAST_BYTE_FACTOR: u32 = 0x6b90_83d9;
/// Behind each block: kind of compression (1), checksum (4).
const TRAILER_BYTES: usize = 5;

/// A block that is not what was written, in bytes from the beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Reads the blocks of a table file that are not rows and returns the first that is damaged.
///
/// The file is one that RocksDB has opened. Of a format that is not known here nothing is said.
pub(crate) fn damage(path: &Path) -> io::Result<Option<Damage>> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let Some(at) = bytes.checked_sub(FOOTER_BYTES as u64) else {
        return Ok(Some(Damage { offset: 0, bytes }));
    };
    let mut footer = [0; FOOTER_BYTES];
    file.read_exact_at(&mut footer, at)?;
    let known = footer[0] == XXH3 && FORMATS.contains(&word(&footer, 41)) && footer[45..] == MAGIC.to_le_bytes();
    if !known {
        return Ok(None);
    }
    let base = word(&footer, 9);
    let stored = word(&footer, 5);
    footer[5..9].fill(0);
    if checksum(&footer[..FOOTER_BYTES - 1], footer[FOOTER_BYTES - 1], base, at) != stored {
        return Ok(Some(Damage { offset: at, bytes: FOOTER_BYTES as u64 }));
    }
    // The list of the other blocks ends where the footer begins.
    let listed = u64::from(word(&footer, 13));
    let list = Handle { offset: at.saturating_sub(listed + TRAILER_BYTES as u64), bytes: listed };
    let Some(content) = list.read(&file, base, at)? else {
        return Ok(Some(list.damaged()));
    };
    let Some(handles) = handles(&content) else {
        return Ok(Some(list.damaged()));
    };
    for handle in handles {
        if handle.read(&file, base, at)?.is_none() {
            return Ok(Some(handle.damaged()));
        }
    }
    Ok(None)
}

#[derive(Clone, Copy, Debug)]
struct Handle {
    offset: u64,
    /// Without the trailer.
    bytes: u64,
}

impl Handle {
    /// The content of the block, if it has its checksum. `end` is where blocks end.
    fn read(self, file: &File, base: u32, end: u64) -> io::Result<Option<Vec<u8>>> {
        let within = self.bytes.checked_add(TRAILER_BYTES as u64).and_then(|bytes| self.offset.checked_add(bytes));
        if within.is_none_or(|block_end| block_end > end) {
            return Ok(None);
        }
        let mut block = vec![0; self.bytes as usize + TRAILER_BYTES];
        file.read_exact_at(&mut block, self.offset)?;
        let content = self.bytes as usize;
        let whole = checksum(&block[..content], block[content], base, self.offset) == word(&block, content + 1);
        block.truncate(content);
        Ok(whole.then_some(block))
    }

    fn damaged(self) -> Damage {
        Damage { offset: self.offset, bytes: self.bytes }
    }
}

/// The blocks named by the list of blocks: entries of key and handle, then the entries' places, then their number.
fn handles(list: &[u8]) -> Option<Vec<Handle>> {
    let count = word_at(list, list.len().checked_sub(4)?)? as usize;
    let mut rest = list.get(..list.len().checked_sub(4 * (count + 1))?)?;
    let mut handles = Vec::with_capacity(count);
    while !rest.is_empty() {
        // Every key is whole in this list: nothing is shared with the one before.
        let _shared = varint(&mut rest)?;
        let key_bytes = varint(&mut rest)? as usize;
        let value_bytes = varint(&mut rest)? as usize;
        let mut value = rest.get(key_bytes..key_bytes.checked_add(value_bytes)?)?;
        rest = &rest[key_bytes + value_bytes..];
        handles.push(Handle { offset: varint(&mut value)?, bytes: varint(&mut value)? });
    }
    Some(handles)
}

/// The checksum of a block: it covers the last byte apart, and depends on file and place, so that a block that
/// turns up elsewhere is damage too.
fn checksum(content: &[u8], last: u8, base: u32, offset: u64) -> u32 {
    let of_content = xxh3_64(content) as u32 ^ u32::from(last).wrapping_mul(LAST_BYTE_FACTOR);
    let place = if base == 0 { 0 } else { base ^ (offset as u32).wrapping_add((offset >> 32) as u32) };
    of_content.wrapping_add(place)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn word(bytes: &[u8], at: usize) -> u32 {
    word_at(bytes, at).expect("the caller has checked the length")
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocksdb::{BlockBasedOptions, Options, SstFileWriter};

    const ROWS: u32 = 400;

    fn table(path: &Path) {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        let mut writer = SstFileWriter::create(&options);
        writer.open(path).expect("made");
        for i in 0..ROWS {
            writer.put(i.to_be_bytes(), i.to_le_bytes()).expect("written");
        }
        writer.finish().expect("finished");
    }

    #[test]
    fn a_flipped_bit_behind_the_rows_is_damage() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("1.sst");
        table(&path);
        assert_eq!(damage(&path).expect("read"), None);
        let whole = std::fs::read(&path).expect("read");
        // Bytes that name the format are left out: RocksDB opens no file of another one.
        let footer = whole.len() - FOOTER_BYTES;
        let names_format = |at: usize| at == footer || at >= footer + 41;
        let file = File::options().write(true).open(&path).expect("opened");
        let mut found = 0;
        for at in 0..whole.len() {
            file.write_all_at(&[whole[at] ^ 1], at as u64).expect("written");
            let seen = damage(&path).expect("read").is_some();
            file.write_all_at(&[whole[at]], at as u64).expect("written back");
            found += usize::from(seen);
            // The filter takes 10 bits per row and is one of several blocks; they end the file without a gap.
            let behind_rows = at >= whole.len() - ROWS as usize * 10 / 8;
            assert!(seen || !behind_rows || names_format(at), "byte {at} of {} went unseen", whole.len());
        }
        assert!(found < whole.len(), "rows are not looked at here");
    }
}
