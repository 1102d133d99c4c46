//! Zip archives made byte by byte, so that they can say what no program would.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// A member as it is to be written.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) packing: Packing,
    pub(super) mode: u32,
    /// Bits of the general purpose flags; 1 is "encrypted".
    pub(super) flags: u16,
    /// What the directory says instead of the truth.
    pub(super) size_said: Option<u32>,
    pub(super) checksum_said: Option<u32>,
    /// Date as DOS has it.
    pub(super) date: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Stored,
    Deflated,
    /// A method that nobody knows.
    Unknown,
}

pub(super) fn member(name: &str, body: &[u8]) -> Member {
    Member {
        name: name.as_bytes().to_vec(),
        body: body.to_vec(),
        packing: Packing::Deflated,
        mode: 0o100_644,
        flags: 0,
        size_said: None,
        checksum_said: None,
        date: 0x5a21,
    }
}

/// An archive of these members, in this order.
pub(super) fn zip(members: &[Member]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let offset = u32::try_from(bytes.len()).expect("a small archive");
        let packed = match member.packing {
            Packing::Deflated => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&member.body).and_then(|()| encoder.finish()).expect("memory takes it")
            }
            Packing::Stored | Packing::Unknown => member.body.clone(),
        };
        let method: u16 = match member.packing {
            Packing::Stored => 0,
            Packing::Deflated => 8,
            Packing::Unknown => 77,
        };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a small member");
        let mut shared = Vec::new();
        shared.extend(20_u16.to_le_bytes());
        shared.extend(member.flags.to_le_bytes());
        shared.extend(method.to_le_bytes());
        shared.extend([0, 0]);
        shared.extend(member.date.to_le_bytes());
        shared.extend(member.checksum_said.unwrap_or_else(|| rawzip::crc32(&member.body)).to_le_bytes());
        shared.extend(length(&packed).to_le_bytes());
        shared.extend(member.size_said.unwrap_or_else(|| length(&member.body)).to_le_bytes());
        shared.extend(u16::try_from(member.name.len()).expect("a short name").to_le_bytes());
        shared.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&shared);
        bytes.extend(&member.name);
        bytes.extend(&packed);
        directory.extend(b"PK\x01\x02");
        directory.extend([20, 3]);
        directory.extend(&shared);
        directory.extend([0; 6]);
        directory.extend((member.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&member.name);
    }
    let (count, start) = (u16::try_from(members.len()).expect("few members"), bytes.len());
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend(u32::try_from(directory.len()).expect("a small directory").to_le_bytes());
    bytes.extend(u32::try_from(start).expect("a small archive").to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}
