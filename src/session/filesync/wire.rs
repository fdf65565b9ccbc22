//! fsutil packets as gRPC frames, written straight into a buffer.
//!
//! Field numbers: fsutil `types/wire.proto` and `types/stat.proto`. Frames are what gRPC puts
//! before a message: a zero byte and its length.

use bytes::Bytes;

use super::walk::Entry;

/// What gRPC puts before a message.
const FRAME_BYTES: usize = 5;

/// More than any DATA packet needs besides its data, with the end mark that may follow.
pub(super) const DATA_MARGIN_BYTES: usize = 64;

/// A DATA length is written in this many bytes however short it is, so that the data can be read
/// into its place before its length is known. Protobuf allows it.
const DATA_LENGTH_BYTES: usize = 3;

/// Longer data would not fit [`DATA_LENGTH_BYTES`].
pub(super) const DATA_BYTES_MAX: usize = (1 << (7 * DATA_LENGTH_BYTES)) - 1;

const TYPE_DATA: &[u8] = &[0x08, 2];

const TYPE_FIN: u8 = 3;

const TYPE_ERR: u8 = 4;

/// Frame, tags, lengths and numbers of a STAT: five numbers of 11 bytes, four lengths of 6.
const STAT_NUMBERS_BYTES_MAX: usize = FRAME_BYTES + 5 * 11 + 4 * 6;

/// The STAT without a stat that ends the announcements: an empty message.
pub(super) const LAST_STAT: [u8; FRAME_BYTES] = [0; FRAME_BYTES];

/// The FIN packet as a frame.
pub(super) fn fin_frame() -> Bytes {
    Bytes::from_static(&[0, 0, 0, 0, 2, 0x08, TYPE_FIN])
}

/// An ERR packet with `text` as a frame.
pub(super) fn err_frame(text: &str) -> Bytes {
    let mut message = vec![0x08, TYPE_ERR];
    put_bytes(&mut message, 0x22, text.as_bytes());
    let mut frame = vec![0; FRAME_BYTES];
    put_frame(&mut frame, message.len());
    frame.extend_from_slice(&message);
    Bytes::from(frame)
}

/// Appends the STAT of `entry` as a frame to `out`.
pub(super) fn put_stat(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let mode = go_mode(entry.facts.mode);
    let xattrs: usize = entry.xattrs.iter().map(|(name, value)| xattr_len(name, value)).sum();
    let stat_len = bytes_len(entry.path)
        + number_len(u64::from(mode))
        + number_len(entry.facts.size)
        + number_len(entry.facts.mtime_ns.cast_unsigned())
        + bytes_len(entry.linkname)
        + number_len(entry.facts.device.0)
        + number_len(entry.facts.device.1)
        + xattrs;
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    put_frame(&mut out[start..], 1 + varint_len(stat_len as u64) + stat_len);
    out.push(0x12);
    put_varint(out, stat_len as u64);
    put_bytes(out, 0x0A, entry.path);
    put_number(out, 0x10, u64::from(mode));
    put_number(out, 0x28, entry.facts.size);
    put_number(out, 0x30, entry.facts.mtime_ns.cast_unsigned());
    put_bytes(out, 0x3A, entry.linkname);
    put_number(out, 0x40, entry.facts.device.0);
    put_number(out, 0x48, entry.facts.device.1);
    for (name, value) in entry.xattrs {
        out.push(0x52);
        put_varint(out, (bytes_len(name) + bytes_len(value)) as u64);
        put_bytes(out, 0x0A, name);
        put_bytes(out, 0x12, value);
    }
}

/// No fewer bytes than [`put_stat`] appends.
pub(super) fn stat_len_max(entry: &Entry<'_>) -> usize {
    let xattrs: usize = entry.xattrs.iter().map(|(name, value)| xattr_len(name, value)).sum();
    STAT_NUMBERS_BYTES_MAX + entry.path.len() + entry.linkname.len() + xattrs
}

/// Appends what stands before the data of a DATA frame for `id`, for data of length zero yet.
pub(super) fn put_data_head(out: &mut Vec<u8>, id: u32) {
    out.extend_from_slice(&[0; FRAME_BYTES]);
    out.extend_from_slice(TYPE_DATA);
    put_number(out, 0x18, u64::from(id));
    out.push(0x22);
    out.extend_from_slice(&[0; DATA_LENGTH_BYTES]);
}

/// Writes the lengths into a DATA frame, of which the first `head_len` bytes precede the data.
pub(super) fn set_data_len(frame: &mut [u8], head_len: usize) {
    let data_len = frame.len() - head_len;
    debug_assert!(data_len <= DATA_BYTES_MAX);
    put_frame(frame, frame.len() - FRAME_BYTES);
    let length = &mut frame[head_len - DATA_LENGTH_BYTES..head_len];
    for (at, byte) in length.iter_mut().enumerate() {
        let more = if at + 1 < DATA_LENGTH_BYTES { 0x80 } else { 0 };
        *byte = (data_len >> (7 * at)).to_le_bytes()[0] & 0x7F | more;
    }
}

/// Appends the DATA frame without data that ends the file `id`.
pub(super) fn put_data_end(out: &mut Vec<u8>, id: u32) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    put_frame(&mut out[start..], TYPE_DATA.len() + number_len(u64::from(id)));
    out.extend_from_slice(TYPE_DATA);
    put_number(out, 0x18, u64::from(id));
}

/// Go's `os.FileMode` for a Unix mode; a socket's own bit is dropped (fsutil stat.go, `mkstat`).
pub(super) fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 0x8000_0000,
        0o120_000 => 0x0800_0000,
        0o060_000 => 0x0400_0000,
        0o020_000 => 0x0420_0000,
        0o010_000 => 0x0200_0000,
        _ => 0,
    };
    let mut out = mode & 0o777 | kind;
    for (unix, go) in [(0o4000, 0x0080_0000), (0o2000, 0x0040_0000), (0o1000, 0x0010_0000)] {
        if mode & unix != 0 {
            out |= go;
        }
    }
    out
}

/// Writes a frame's five bytes in front of a message of `len` bytes.
fn put_frame(out: &mut [u8], len: usize) {
    out[0] = 0;
    out[1..FRAME_BYTES].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// A field of proto3: zero is not written. All tags here are one byte.
fn put_number(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag);
        put_varint(out, value);
    }
}

fn put_bytes(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    if !value.is_empty() {
        out.push(tag);
        put_varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn number_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

fn bytes_len(value: &[u8]) -> usize {
    if value.is_empty() { 0 } else { 1 + varint_len(value.len() as u64) + value.len() }
}

fn xattr_len(name: &[u8], value: &[u8]) -> usize {
    let entry_len = bytes_len(name) + bytes_len(value);
    1 + varint_len(entry_len as u64) + entry_len
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::{
        pb::fsutil::{Packet, Stat},
        session::filesync::walk::Facts,
    };

    #[test]
    fn a_stat_is_the_bytes_that_prost_writes() {
        let xattrs = [(b"user.a".to_vec(), b"1".to_vec()), (b"user.b".to_vec(), vec![0; 300])];
        for (at, number) in [0, 1, 127, 128, 16_384, 1 << 40, u64::MAX >> 1].into_iter().enumerate()
        {
            for (mtime_ns, xattrs) in
                [(-1, &xattrs[..]), (0, &[]), (1_700_000_000_000_000_000, &[])]
            {
                let facts = Facts {
                    mode: 0o100_644,
                    size: number,
                    mtime_ns,
                    inode: (1, 2),
                    links: 1,
                    device: (number >> 1, number >> 2),
                };
                let path = vec![b'p'; 1 + at * 40];
                let entry = Entry { path: &path, facts, linkname: &path[1..], xattrs };
                let mut frame = b"before".to_vec();
                put_stat(&mut frame, &entry);
                let stat = Stat {
                    path: path.clone(),
                    mode: 0o644,
                    size: number.cast_signed(),
                    mod_time: mtime_ns,
                    linkname: path[1..].to_vec(),
                    devmajor: (number >> 1).cast_signed(),
                    devminor: (number >> 2).cast_signed(),
                    xattrs: xattrs
                        .iter()
                        .map(|(name, value)| {
                            (String::from_utf8(name.clone()).unwrap(), value.clone())
                        })
                        .collect(),
                    ..Stat::default()
                };
                let message = Packet { stat: Some(stat), ..Packet::default() }.encode_to_vec();
                let len = u32::try_from(message.len()).unwrap().to_be_bytes();
                assert_eq!(frame, [&b"before\0"[..], &len, &message].concat());
                assert!(stat_len_max(&entry) >= frame.len() - 6);
            }
        }
    }

    #[test]
    fn data_frames_decode_whatever_their_length_and_id() {
        for id in [0, 1, 127, 128, u32::MAX] {
            for len in [1, 127, 128, 70_000, 300_000] {
                let mut frame = Vec::new();
                put_data_head(&mut frame, id);
                let head_len = frame.len();
                frame.resize(head_len + len, 7);
                set_data_len(&mut frame, head_len);
                put_data_end(&mut frame, id);
                assert!(head_len < DATA_MARGIN_BYTES);
                let (first, second) = frame.split_at(head_len + len);
                for (frame, data) in [(first, vec![7; len]), (second, vec![])] {
                    let packet = Packet::decode(&frame[FRAME_BYTES..]).unwrap();
                    assert_eq!((packet.r#type, packet.id, packet.data.to_vec()), (2, id, data));
                    let len = u32::from_be_bytes(frame[1..5].try_into().unwrap());
                    assert_eq!(len as usize, frame.len() - FRAME_BYTES);
                }
            }
        }
    }

    #[test]
    fn modes_become_gos() {
        for (unix, go) in [
            (0o100_644, 0o644),
            (0o104_755, 0x0080_0000 | 0o755),
            (0o102_755, 0x0040_0000 | 0o755),
            (0o041_777, 0x8010_0000 | 0o777),
            (0o120_777, 0x0800_0000 | 0o777),
            (0o060_660, 0x0400_0000 | 0o660),
            (0o020_666, 0x0420_0000 | 0o666),
            (0o010_600, 0x0200_0000 | 0o600),
            (0o140_755, 0o755),
        ] {
            assert_eq!(go_mode(unix), go, "{unix:o}");
        }
    }
}
