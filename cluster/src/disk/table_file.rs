//! Checks a table file block by block, without the database.
//!
//! ```text
//! rows, rows, …, filter, index, properties, list of the blocks that are not rows, footer
//! ```
//!
//! Filter and index may be in parts, each a block of its own; what is listed as filter or index is then an index of the
//! parts, which lie before it.
//!
//! RocksDB checks a block of rows when it reads it, which may be in a year. It takes a filter that fails its checksum
//! for no filter, and goes on: the rows read are right, yet a disk that changed one byte will change another, and the
//! operator must hear of the first. It does not look at what rows say, nor at their order.
//!
//! Source: RocksDB 11.8, table/format.cc (footer, handles, checksums of format versions 6 and 7, values of the index),
//! table/meta_blocks.cc, table/block_based/data_block_footer.cc, table/block_based/block.cc (entries of the index),
//! table/block_based/partitioned_filter_block.cc, include/rocksdb/table.h (kinds of index).

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
const UNCOMPRESSED: u8 = 0;
const LZ4: u8 = 4;
/// The block that says where the blocks of rows are.
const INDEX: &[u8] = b"rocksdb.index";
/// The name of a filter in parts begins with it.
const FILTER_IN_PARTS: &[u8] = b"partitionedfilter.";
const PROPERTIES: &[u8] = b"rocksdb.properties";
const INDEX_KIND: &[u8] = b"rocksdb.block.based.table.index.type";
/// `kTwoLevelIndexSearch`, little endian.
const INDEX_IN_PARTS: &[u8] = &[2, 0, 0, 0];
/// Behind the entries of a block: how many places of entries are listed there, and flags.
const PLACES_MASK: u32 = (1 << 28) - 1;
/// An index that unpacks to more is none: a table has at most some gigabytes.
const INDEX_BYTES_MAX: usize = 1 << 30;

/// A block that is not what was written, in bytes from the beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// What of a table file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Some per cent of the file.
    AllButRows,
    Everything,
}

/// What reading a table file has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Whole,
    /// The first block that is not what was written.
    Damaged(Damage),
    /// A format that is not known here: nothing can be said.
    Unknown,
}

/// Why a table file is not found to be whole.
enum Wrong {
    Io(io::Error),
    Found(Found),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A block that says what nobody expects.
const UNKNOWN: Wrong = Wrong::Found(Found::Unknown);

/// Reads a table file that RocksDB has opened.
pub(crate) fn check(path: &Path, scope: Scope) -> io::Result<Found> {
    match read_through(path, scope) {
        Ok(()) => Ok(Found::Whole),
        Err(Wrong::Found(found)) => Ok(found),
        Err(Wrong::Io(error)) => Err(error),
    }
}

fn read_through(path: &Path, scope: Scope) -> Result<(), Wrong> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let damaged = |offset, bytes| Wrong::Found(Found::Damaged(Damage { offset, bytes }));
    let at = bytes.checked_sub(FOOTER_BYTES as u64).ok_or(damaged(0, bytes))?;
    let mut footer = [0; FOOTER_BYTES];
    file.read_exact_at(&mut footer, at)?;
    let known = footer[0] == XXH3 && FORMATS.contains(&word(&footer, 41)) && footer[45..] == MAGIC.to_le_bytes();
    if !known {
        return Err(UNKNOWN);
    }
    let base = word(&footer, 9);
    let stored = word(&footer, 5);
    footer[5..9].fill(0);
    if checksum(&footer[..FOOTER_BYTES - 1], footer[FOOTER_BYTES - 1], base, at) != stored {
        return Err(damaged(at, FOOTER_BYTES as u64));
    }
    // The list of the other blocks ends where the footer begins.
    let listed = u64::from(word(&footer, 13));
    let list = Handle { offset: at.saturating_sub(listed + TRAILER_BYTES as u64), bytes: listed };
    let table = Table { file, base, end: at };
    let contents = table.contents(list)?;
    match scope {
        Scope::AllButRows => Ok(()),
        Scope::Everything => table.check_rows(&contents),
    }
}

/// What a table says of its rows.
struct Contents {
    /// Where their blocks are: all parts of the index.
    index: Vec<Vec<u8>>,
    /// Where the first block is that is none of theirs.
    rows_end: u64,
}

/// An open file of a known format.
struct Table {
    file: File,
    /// What the checksums of this file begin with.
    base: u32,
    /// Where blocks end.
    end: u64,
}

impl Table {
    /// Reads a block and returns how it is compressed.
    fn read(&self, handle: Handle, block: &mut Vec<u8>) -> Result<u8, Wrong> {
        handle.end().filter(|end| *end <= self.end).ok_or(handle.damaged())?;
        let content = handle.bytes as usize;
        block.resize(content + TRAILER_BYTES, 0);
        self.file.read_exact_at(block, handle.offset)?;
        let compression = block[content];
        if checksum(&block[..content], compression, self.base, handle.offset) != word(block, content + 1) {
            return Err(handle.damaged());
        }
        block.truncate(content);
        Ok(compression)
    }

    /// Reads everything but rows.
    fn contents(&self, list: Handle) -> Result<Contents, Wrong> {
        let mut block = Vec::new();
        self.read(list, &mut block)?;
        let others = others(&block).ok_or(list.damaged())?;
        let (mut index, mut filter, mut properties) = (None, None, None);
        for (name, handle) in &others {
            let compression = self.read(*handle, &mut block)?;
            let wanted = match name.as_slice() {
                INDEX => &mut index,
                PROPERTIES => &mut properties,
                name if name.starts_with(FILTER_IN_PARTS) => &mut filter,
                _ => continue,
            };
            *wanted = Some(unpacked(compression, &block).ok_or(UNKNOWN)?);
        }
        let index = index.ok_or(UNKNOWN)?;
        let is_index_in_parts = properties.and_then(|properties| is_index_in_parts(&properties)).ok_or(UNKNOWN)?;
        let mut not_rows: Vec<Handle> = others.iter().map(|(_, handle)| *handle).collect();
        let mut parts_of_index = Vec::new();
        if let Some(filter) = filter {
            for part in blocks_of(&filter).ok_or(UNKNOWN)? {
                self.read(part, &mut block)?;
                not_rows.push(part);
            }
        }
        if is_index_in_parts {
            for part in blocks_of(&index).ok_or(UNKNOWN)? {
                let compression = self.read(part, &mut block)?;
                parts_of_index.push(unpacked(compression, &block).ok_or(UNKNOWN)?);
                not_rows.push(part);
            }
        } else {
            parts_of_index.push(index);
        }
        let rows_end = not_rows.iter().map(|handle| handle.offset).min().unwrap_or(list.offset);
        Ok(Contents { index: parts_of_index, rows_end })
    }

    /// Reads the blocks of rows. They lie behind each other from the beginning of the file up to the first other one,
    /// so that no byte is left out.
    fn check_rows(&self, contents: &Contents) -> Result<(), Wrong> {
        let mut block = Vec::new();
        let mut next = 0;
        for part in &contents.index {
            for handle in blocks_of(part).ok_or(UNKNOWN)? {
                if handle.offset != next {
                    return Err(handle.damaged());
                }
                self.read(handle, &mut block)?;
                next = handle.offset + handle.bytes + TRAILER_BYTES as u64;
            }
        }
        if contents.rows_end == next { Ok(()) } else { Err(UNKNOWN) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Handle {
    offset: u64,
    /// Without the trailer.
    bytes: u64,
}

impl Handle {
    fn end(self) -> Option<u64> {
        self.bytes.checked_add(TRAILER_BYTES as u64)?.checked_add(self.offset)
    }

    fn damaged(self) -> Wrong {
        Wrong::Found(Found::Damaged(Damage { offset: self.offset, bytes: self.bytes }))
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { offset: varint(bytes)?, bytes: varint(bytes)? })
    }
}

/// The entries of a block: before their places and the number of those.
fn entries(block: &[u8]) -> Option<&[u8]> {
    let places = (word_at(block, block.len().checked_sub(4)?)? & PLACES_MASK) as usize;
    block.get(..block.len().checked_sub(4 * (places + 1))?)
}

/// The blocks named by the list of blocks.
fn others(list: &[u8]) -> Option<Vec<(Vec<u8>, Handle)>> {
    named(list)?.into_iter().map(|(name, mut value)| Some((name, Handle::decode(&mut value)?))).collect()
}

/// Entries of name and value, as the list of blocks and the properties have them. A name may begin as the one before.
fn named(block: &[u8]) -> Option<Vec<(Vec<u8>, &[u8])>> {
    let mut rest = entries(block)?;
    let mut named: Vec<(Vec<u8>, &[u8])> = Vec::new();
    while !rest.is_empty() {
        let shared = varint(&mut rest)? as usize;
        let name_bytes = varint(&mut rest)? as usize;
        let value_bytes = varint(&mut rest)? as usize;
        let before = named.last().map_or(&[][..], |(name, _)| name);
        let mut name = before.get(..shared)?.to_vec();
        let (own, after) = rest.split_at_checked(name_bytes)?;
        name.extend_from_slice(own);
        let (value, after) = after.split_at_checked(value_bytes)?;
        rest = after;
        named.push((name, value));
    }
    Some(named)
}

/// What the properties of a table say of its index.
fn is_index_in_parts(properties: &[u8]) -> Option<bool> {
    let (_, kind) = named(properties)?.into_iter().find(|(name, _)| name == INDEX_KIND)?;
    Some(kind == INDEX_IN_PARTS)
}

/// The blocks named by an index, in their order: entries of key and handle. An entry whose key shares nothing with the
/// one before has the whole handle, others the difference in length.
fn blocks_of(index: &[u8]) -> Option<Vec<Handle>> {
    let mut rest = entries(index)?;
    let mut blocks: Vec<Handle> = Vec::new();
    while !rest.is_empty() {
        let shared = varint(&mut rest)?;
        let key_bytes = varint(&mut rest)? as usize;
        rest = rest.get(key_bytes..)?;
        let handle = match blocks.last() {
            Some(before) if shared != 0 => {
                let zigzag = varint(&mut rest)?;
                let difference = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                Handle { offset: before.end()?, bytes: before.bytes.checked_add_signed(difference)? }
            }
            _ => Handle::decode(&mut rest)?,
        };
        blocks.push(handle);
    }
    Some(blocks)
}

/// The content of a block; `None`: it is packed in a way that this database does not use.
fn unpacked(compression: u8, block: &[u8]) -> Option<Vec<u8>> {
    match compression {
        UNCOMPRESSED => Some(block.to_vec()),
        LZ4 => {
            let mut packed = block;
            let bytes = varint(&mut packed)? as usize;
            lz4(packed, bytes).filter(|unpacked| unpacked.len() == bytes)
        }
        _ => None,
    }
}

/// Unpacks a block of LZ4: runs of literals and, between them, repetitions of what came before.
///
/// Source: lz4 1.10, doc/lz4_Block_format.md.
fn lz4(mut packed: &[u8], bytes: usize) -> Option<Vec<u8>> {
    const REPETITION_MIN: usize = 4;
    let mut out = Vec::with_capacity(bytes.min(INDEX_BYTES_MAX));
    while let Some((&token, rest)) = packed.split_first() {
        packed = rest;
        let literals = length(token >> 4, &mut packed)?;
        out.extend_from_slice(packed.get(..literals)?);
        packed = &packed[literals..];
        if packed.is_empty() {
            // The last run has no repetition behind it.
            break;
        }
        let back = usize::from(u16::from_le_bytes([*packed.first()?, *packed.get(1)?]));
        packed = &packed[2..];
        let count = length(token & 15, &mut packed)?.checked_add(REPETITION_MIN)?;
        let from = out.len().checked_sub(back).filter(|_| back > 0)?;
        if out.len().checked_add(count)? > bytes {
            return None;
        }
        // It may reach into what it writes itself.
        for at in from..from + count {
            out.push(out[at]);
        }
    }
    Some(out)
}

/// A length of LZ4: half a byte, and further bytes as long as they are full.
fn length(half: u8, packed: &mut &[u8]) -> Option<usize> {
    let mut length = usize::from(half);
    let mut last = if half == 15 { u8::MAX } else { 0 };
    while last == u8::MAX {
        let (&first, rest) = packed.split_first()?;
        *packed = rest;
        last = first;
        length = length.checked_add(usize::from(last))?;
    }
    Some(length)
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
    use rocksdb::{BlockBasedIndexType, BlockBasedOptions, DBCompressionType, Options, SstFileWriter};

    const ROWS: u32 = 400;

    /// A table of many blocks, with a packed index, as the database writes them; filter and index in parts or not.
    fn table(path: &Path, is_in_parts: bool) {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_bloom_filter(10.0, false);
        blocks.set_block_size(256);
        if is_in_parts {
            blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
            blocks.set_partition_filters(true);
            blocks.set_metadata_block_size(128);
        }
        let mut options = Options::default();
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_block_based_table_factory(&blocks);
        let mut writer = SstFileWriter::create(&options);
        writer.open(path).expect("made");
        for i in 0..ROWS {
            let key = [b"a key that begins like all others ", &i.to_be_bytes()[..]].concat();
            writer.put(key, i.to_le_bytes()).expect("written");
        }
        writer.finish().expect("finished");
        let listed = std::fs::read(path).expect("read");
        let is_listed = listed.windows(FILTER_IN_PARTS.len()).any(|bytes| bytes == FILTER_IN_PARTS);
        assert_eq!(is_listed, is_in_parts);
    }

    /// Flips a bit of every byte in turn; the bytes where that went unseen.
    fn unseen(path: &Path, scope: Scope) -> Vec<usize> {
        let whole = std::fs::read(path).expect("read");
        // Bytes that name the format are left out: RocksDB opens no file of another one.
        let footer = whole.len() - FOOTER_BYTES;
        let names_format = |at: usize| at == footer || at >= footer + 41;
        let file = File::options().write(true).open(path).expect("opened");
        let is_unseen = |at: &usize| {
            file.write_all_at(&[whole[*at] ^ 1], *at as u64).expect("written");
            let found = check(path, scope).expect("read");
            file.write_all_at(&[whole[*at]], *at as u64).expect("written back");
            !matches!(found, Found::Damaged(_))
        };
        (0..whole.len()).filter(|at| !names_format(*at)).filter(is_unseen).collect()
    }

    #[test]
    fn a_flipped_bit_anywhere_is_damage() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("1.sst");
        for is_in_parts in [false, true] {
            table(&path, is_in_parts);
            assert_eq!(check(&path, Scope::Everything).expect("read"), Found::Whole);
            assert_eq!(unseen(&path, Scope::Everything), [0; 0]);
        }
    }

    #[test]
    fn without_the_rows_a_flipped_bit_behind_them_is_damage() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("1.sst");
        for is_in_parts in [false, true] {
            table(&path, is_in_parts);
            assert_eq!(check(&path, Scope::AllButRows).expect("read"), Found::Whole);
            let unseen = unseen(&path, Scope::AllButRows);
            // The rows are one piece from the beginning; the filter alone takes 10 bits for each.
            let rows_end = unseen.len();
            assert!(unseen.iter().copied().eq(0..rows_end), "{unseen:?}");
            let bytes = path.metadata().expect("a size").len() as usize;
            assert!(rows_end > 0 && rows_end < bytes - ROWS as usize * 10 / 8, "{rows_end} of {bytes}");
        }
    }

    #[test]
    fn lz4_is_unpacked_and_nonsense_is_refused() {
        // Source: doc/lz4_Block_format.md, by hand: "ab", 10 bytes from 2 back, and a last run "end".
        let packed = [0x26, b'a', b'b', 2, 0, 0x30, b'e', b'n', b'd'];
        assert_eq!(lz4(&packed, 15).as_deref(), Some(&b"ababababababend"[..]));
        for wrong in [&packed[..4], &[0x26, b'a', b'b', 9, 0, 0x30][..], &[0x26, b'a', b'b', 0, 0][..], &[0xf0][..]] {
            assert_eq!(lz4(wrong, 15), None, "{wrong:?}");
        }
        assert_eq!(lz4(&packed, 8), None, "more than was announced");
    }
}
