//! `Content-Encoding`: gzip, deflate, br and zstd, also several upon each other.

use std::io::Read;

use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

/// What browsers of today accept over TLS: each of it can be unpacked here.
pub const BROWSER: &str = "gzip, deflate, br, zstd";

/// A body that cannot be unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Why, for people.
    pub why: String,
}

/// Unpacks a body by its `Content-Encoding`, at most `limit` bytes of it; whether there was more is the second part.
///
/// # Errors
/// An encoding that is not known, or bytes that are none of it.
pub fn unpack(encoding: &str, body: Vec<u8>, limit: usize) -> Result<(Vec<u8>, bool), Packed> {
    let names = encoding.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut state = (body, false);
    // The last one was applied last.
    for name in names.rev() {
        state = once(&name.to_ascii_lowercase(), &state.0, limit)?;
    }
    Ok(state)
}

fn once(name: &str, body: &[u8], limit: usize) -> Result<(Vec<u8>, bool), Packed> {
    let broken = |e: &dyn std::fmt::Display| Packed { why: format!("it is broken {name}: {e}") };
    let read = |reader: &mut dyn Read| bounded(reader, limit).map_err(|e| broken(&e));
    match name {
        "identity" => Ok((body.to_vec(), false)),
        "gzip" | "x-gzip" => read(&mut MultiGzDecoder::new(body)),
        // The standard says zlib; servers send both.
        "deflate" => read(&mut ZlibDecoder::new(body)).or_else(|_| read(&mut DeflateDecoder::new(body))),
        "br" => read(&mut Decompressor::new(body, 4096)),
        "zstd" => read(&mut StreamingDecoder::new(body).map_err(|e| broken(&e))?),
        _ => Err(Packed { why: format!("it is compressed by {name}, which is not known here") }),
    }
}

fn bounded(reader: &mut dyn Read, limit: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    let more = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((bytes, more))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("whole")
    }

    /// `<html>1.2.0</html>` as the tools brotli 1.1 and zstd 1.5 pack it.
    const BROTLI: &[u8] = b"\x0b\x09\x80<html>1.2.0</html>\n\x03";

    #[test]
    fn every_encoding_of_a_browser_is_unpacked() {
        let page = b"<html>1.2.0</html>\n";
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(page).expect("written");
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(page).expect("written");
        let zstd = ruzstd::encoding::compress_to_vec(&page[..], ruzstd::encoding::CompressionLevel::Fastest);
        for (name, body) in [
            ("identity", page.to_vec()),
            ("", page.to_vec()),
            ("gzip", gzip(page)),
            ("GZIP", gzip(page)),
            ("deflate", zlib.finish().expect("whole")),
            ("deflate", raw.finish().expect("whole")),
            ("br", BROTLI.to_vec()),
            ("zstd", zstd),
            ("gzip, gzip", gzip(&gzip(page))),
        ] {
            assert_eq!(unpack(name, body, 100), Ok((page.to_vec(), false)), "{name}");
        }
    }

    #[test]
    fn what_is_broken_or_unknown_is_an_error_and_what_is_endless_is_cut() {
        assert!(unpack("gzip", b"no".to_vec(), 100).is_err());
        assert!(unpack("br", b"<html>plain</html>".to_vec(), 100).is_err());
        assert!(unpack("zstd", b"no".to_vec(), 100).is_err());
        assert!(unpack("compress", b"x".to_vec(), 100).is_err_and(|p| p.why.contains("compress")));
        let mut cut = gzip(&[b'a'; 4000]);
        cut.truncate(20);
        assert!(unpack("gzip", cut, 8000).is_err(), "half of a page is none");
        let (bytes, more) = unpack("gzip", gzip(&[0; 1 << 20]), 1000).expect("a bomb");
        assert_eq!((bytes.len(), more), (1000, true));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200), which in 0usize..5) {
            let name = ["gzip", "deflate", "br", "zstd", "gzip, br"][which];
            let _ = unpack(name, bytes, 1000);
        }
    }
}
