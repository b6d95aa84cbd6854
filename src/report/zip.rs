//! A zip file whose large entries are packed in pieces, side by side: a deflate stream may be cut at any byte border, and the sum of
//! the whole follows from those of its pieces. So the work spreads over threads, and which thread did it leaves no trace.

use flate2::{Compress, Compression, Crc, FlushCompress};
use std::io::{self, Write};

/// How hard a piece is packed, of 9: harder takes twice the time for a tenth of the bytes.
const LEVEL: u32 = 3;
/// The last block of a deflate stream, empty.
const END: [u8; 2] = [3, 0];

const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const CENTRAL_END: u32 = 0x0605_4b50;
/// Version 2.0 of the format: folders and deflate.
const VERSION: u16 = 20;
/// Sum and sizes come behind the bytes; names are UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
const DEFLATED: u16 = 8;
/// 1 January 1980, midnight, where this calendar starts: a clock would give every file bytes of its own.
const TIME: u16 = 0;
const DATE: u16 = 1 << 5 | 1;

/// Bytes packed, so that pieces can stand one behind the other.
pub(super) struct Piece {
    packed: Vec<u8>,
    sum: Crc,
}

impl Piece {
    /// Packs `bytes`.
    pub(super) fn pack(bytes: &[u8]) -> Piece {
        let mut sum = Crc::new();
        sum.update(bytes);
        let mut deflate = Compress::new(Compression::new(LEVEL), false);
        let mut packed = Vec::with_capacity(bytes.len() / 4 + 64);
        // A full flush ends at a byte border; it is done when it leaves room.
        loop {
            packed.reserve(1_024);
            let rest = &bytes[deflate.total_in() as usize..];
            deflate.compress_vec(rest, &mut packed, FlushCompress::Full).expect("no bytes are wrong to pack");
            if packed.len() < packed.capacity() {
                return Piece { packed, sum };
            }
        }
    }
}

/// A zip file in the writing.
pub(super) struct Zip<W> {
    to: W,
    at: u64,
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    at: u32,
    sum: u32,
    packed: u32,
    length: u32,
}

impl<W: Write> Zip<W> {
    pub(super) fn new(to: W) -> Zip<W> {
        Zip { to, at: 0, entries: Vec::new() }
    }

    /// Begins an entry, to which its pieces are added.
    pub(super) fn begin(&mut self, name: &str) -> io::Result<Growing> {
        let at = short(self.at)?;
        let mut header = Fields::default();
        header.four(LOCAL).two(VERSION).two(FLAGS).two(DEFLATED).two(TIME).two(DATE);
        header.four(0).four(0).four(0).two(name_length(name)?).two(0);
        self.write(&header.0)?;
        self.write(name.as_bytes())?;
        Ok(Growing { name: name.to_owned(), at, from: self.at, sum: Crc::new(), length: 0 })
    }

    /// Adds a piece.
    pub(super) fn add(&mut self, entry: &mut Growing, piece: &Piece) -> io::Result<()> {
        entry.sum.combine(&piece.sum);
        // The library counts to 2^32 only.
        entry.length += u64::from(piece.sum.amount());
        self.write(&piece.packed)
    }

    /// Ends an entry whose pieces are all added.
    pub(super) fn end(&mut self, entry: Growing) -> io::Result<()> {
        self.write(&END)?;
        let Growing { name, at, from, sum, length } = entry;
        let entry = Entry { name, at, sum: sum.sum(), packed: short(self.at - from)?, length: short(length)? };
        let mut descriptor = Fields::default();
        descriptor.four(DESCRIPTOR).four(entry.sum).four(entry.packed).four(entry.length);
        self.write(&descriptor.0)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Adds a small entry at once.
    pub(super) fn whole(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut entry = self.begin(name)?;
        self.add(&mut entry, &Piece::pack(bytes))?;
        self.end(entry)
    }

    /// Writes the directory of entries.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let from = self.at;
        for entry in std::mem::take(&mut self.entries) {
            let mut header = Fields::default();
            header.four(CENTRAL).two(VERSION).two(VERSION).two(FLAGS).two(DEFLATED).two(TIME).two(DATE);
            header.four(entry.sum).four(entry.packed).four(entry.length).two(name_length(&entry.name)?);
            // No extra field, no comment, the first disk, nothing said of the bytes or of an owner.
            header.two(0).two(0).two(0).two(0).four(0).four(entry.at);
            self.write(&header.0)?;
            self.write(entry.name.as_bytes())?;
            self.entries.push(entry);
        }
        let count = u16::try_from(self.entries.len()).map_err(|_| too_large())?;
        let mut end = Fields::default();
        end.four(CENTRAL_END)
            .two(0)
            .two(0)
            .two(count)
            .two(count)
            .four(short(self.at - from)?)
            .four(short(from)?)
            .two(0);
        self.write(&end.0)?;
        self.to.flush()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.to.write_all(bytes)
    }
}

/// An entry whose pieces are being added.
pub(super) struct Growing {
    name: String,
    at: u32,
    /// Where its bytes start.
    from: u64,
    sum: Crc,
    length: u64,
}

/// Numbers as the format lays them out, the lowest byte first.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn two(&mut self, value: u16) -> &mut Fields {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn four(&mut self, value: u32) -> &mut Fields {
        self.0.extend(value.to_le_bytes());
        self
    }
}

fn name_length(name: &str) -> io::Result<u16> {
    u16::try_from(name.len()).map_err(|_| too_large())
}

/// A size or place as the format holds it.
fn short(value: u64) -> io::Result<u32> {
    u32::try_from(value).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::Error::other("a workbook of more than 4 GiB is beyond what every spreadsheet program reads")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    #[test]
    fn pieces_read_as_one_file() {
        let mut bytes = Vec::new();
        let mut zip = Zip::new(&mut bytes);
        zip.whole("first.txt", b"small").unwrap();
        let mut entry = zip.begin("folder/second.txt").unwrap();
        let pieces: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_string().repeat(n as usize).into_bytes()).collect();
        for piece in &pieces {
            zip.add(&mut entry, &Piece::pack(piece)).unwrap();
        }
        zip.end(entry).unwrap();
        zip.finish().unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(archive.len(), 2);
        for (name, expected) in [("first.txt", b"small".to_vec()), ("folder/second.txt", pieces.concat())] {
            let mut read = Vec::new();
            // Reading checks the sum.
            archive.by_name(name).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == expected, "{name}");
        }
    }
}
