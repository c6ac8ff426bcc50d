//! Looks through RocksDB's log-format files (write-ahead logs, the manifest) for damage in the middle.
//!
//! When the damage is in the length of a record in the last 32 KiB of a file, RocksDB cannot tell it from a torn
//! tail: the modes that tolerate one drop what is behind, flushed or not; the strict one refuses every torn tail. So before the database is opened every such file is read once: bytes that are no
//! record are a torn tail only if no record follows them. It does not judge the tail itself.
//!
//! A power cut that stored a later page of an unflushed tail and lost an earlier one looks the same as damage.
//! It is refused too: the safe side, and rare, as flushes follow each other without a pause.
//!
//! Source: the RocksDB wiki, "Write Ahead Log File Format": blocks of 32 KiB, in them records of checksum (4),
//! length (2), type (1) and payload; a record never crosses a block, fewer than 7 bytes at the end of one are zero.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 7;

/// Types of whole, first, middle, last records; the recyclable kinds (5 to 8) are switched off.
const DATA_TYPES: std::ops::RangeInclusive<u8> = 1..=4;

/// Where a file is damaged, in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    /// The first whole record behind it.
    pub(crate) next_record: u64,
}

/// Reads a file and returns the first place that is no record although records follow.
pub(crate) fn damage(path: &Path) -> io::Result<Option<Damage>> {
    let mut file = File::open(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut start = 0;
    let mut broken = None;
    loop {
        let len = read_full(&mut file, &mut block)?;
        let bytes = &block[..len];
        let found = match broken {
            None => {
                let end = records_end(bytes);
                if end < len && !is_padding(bytes, end) {
                    broken = Some(start + end as u64);
                }
                broken.and_then(|_| find_record(bytes, end + 1))
            }
            // Behind a break the blocks are still aligned: a whole record at the head of one is proof.
            Some(_) => record_len(bytes, 0).map(|_| 0),
        };
        if let (Some(offset), Some(found)) = (broken, found) {
            return Ok(Some(Damage { offset, next_record: start + found as u64 }));
        }
        if len < BLOCK_BYTES {
            return Ok(None);
        }
        start += len as u64;
    }
}

/// Reads a file and returns the first place that is no record, whatever follows; `None`: records to the end.
pub(crate) fn first_break(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut start = 0;
    loop {
        let len = read_full(&mut file, &mut block)?;
        let bytes = &block[..len];
        let end = records_end(bytes);
        if end < len && !is_padding(bytes, end) {
            return Ok(Some(start + end as u64));
        }
        if len < BLOCK_BYTES {
            return Ok(None);
        }
        start += len as u64;
    }
}

/// Where the records that follow each other from the head of a block end.
fn records_end(block: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = record_len(block, at) {
        at += len;
    }
    at
}

fn find_record(block: &[u8], from: usize) -> Option<usize> {
    (from..block.len())
        .find(|&at| DATA_TYPES.contains(block.get(at + 6).unwrap_or(&0)) && record_len(block, at).is_some())
}

/// The whole length of the record at `at`, if one with a right checksum is there.
fn record_len(block: &[u8], at: usize) -> Option<usize> {
    let header: &[u8; HEADER_BYTES] = block.get(at..at + HEADER_BYTES)?.try_into().ok()?;
    let stored = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let len = usize::from(u16::from_le_bytes([header[4], header[5]]));
    if header[6] == 0 {
        // Zeros are space, never a record, whatever their checksum says.
        return None;
    }
    let checked = block.get(at + 6..at + HEADER_BYTES + len)?;
    (masked(crc32c(checked)) == stored).then_some(HEADER_BYTES + len)
}

/// Whether what is left of a block is the zeros RocksDB pads it with.
fn is_padding(block: &[u8], at: usize) -> bool {
    block.len() == BLOCK_BYTES && block.len() - at < HEADER_BYTES && block[at..].iter().all(|&b| b == 0)
}

fn read_full(file: &mut File, block: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < block.len() {
        match file.read(&mut block[len..])? {
            0 => break,
            n => len += n,
        }
    }
    Ok(len)
}

/// RocksDB stores checksums masked, as a checksum of bytes that hold checksums is weak.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), eight bytes at a time.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let low = crc ^ u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        crc = TABLES[7][(low & 0xff) as usize]
            ^ TABLES[6][(low >> 8 & 0xff) as usize]
            ^ TABLES[5][(low >> 16 & 0xff) as usize]
            ^ TABLES[4][(low >> 24) as usize]
            ^ TABLES[3][chunk[4] as usize]
            ^ TABLES[2][chunk[5] as usize]
            ^ TABLES[1][chunk[6] as usize]
            ^ TABLES[0][chunk[7] as usize];
    }
    for &byte in chunks.remainder() {
        crc = crc >> 8 ^ TABLES[0][((crc ^ u32::from(byte)) & 0xff) as usize];
    }
    !crc
}

/// Slicing by eight: table k carries a byte over k further bytes.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut tables = [[0; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][i] = crc;
        i += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut i = 0;
        while i < 256 {
            let before: u32 = tables[k - 1][i];
            tables[k][i] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            i += 1;
        }
        k += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn record(payload: &[u8]) -> Vec<u8> {
        let mut body = vec![1];
        body.extend_from_slice(payload);
        let mut record = masked(crc32c(&body)).to_le_bytes().to_vec();
        record.extend_from_slice(&(payload.len() as u16).to_le_bytes());
        record.extend_from_slice(&body);
        record
    }

    fn damage_of(bytes: &[u8]) -> Option<Damage> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("written");
        damage(file.path()).expect("read")
    }

    #[test]
    fn crc32c_is_castagnoli() {
        // Source: RFC 3720 B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_whole_file_and_a_torn_tail_are_no_damage() {
        let whole: Vec<u8> = (0..100).flat_map(|i| record(&[i; 50])).collect();
        for cut in whole.len() - 60..=whole.len() {
            assert_eq!(damage_of(&whole[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn any_flipped_bit_before_the_last_record_is_damage() {
        let whole: Vec<u8> = (0..20).flat_map(|i| record(&[i; 50])).collect();
        let last = whole.len() - 57;
        for at in 0..last {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let found = damage_of(&bytes).unwrap_or_else(|| panic!("byte {at} went unseen"));
            assert_eq!(found.offset as usize, at / 57 * 57);
            assert!(found.next_record > found.offset);
        }
    }

    #[test]
    fn records_in_a_later_block_prove_damage() {
        // Two blocks: the first filled by one record.
        let mut bytes = record(&vec![7; BLOCK_BYTES - HEADER_BYTES]);
        bytes.extend(record(b"flushed"));
        assert_eq!(damage_of(&bytes), None);
        bytes[5] ^= 0x80;
        assert_eq!(damage_of(&bytes), Some(Damage { offset: 0, next_record: BLOCK_BYTES as u64 }));
    }
}
