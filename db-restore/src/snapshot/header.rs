//! The first bytes of pg_dump's archives: format, version, when, of which database. Read here because `pg_restore -l` shows
//! the time in its own zone: the header holds the dump host's local time and no zone (PostgreSQL's pg_backup_archiver.c).

use std::io::{Error, ErrorKind, Read};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// 1.14 is `(1, 14)`.
    pub version: (u8, u8),
    /// The dump host's local time.
    pub made: DateTime,
    /// Whether summer time was in force there.
    pub summer: bool,
    pub database: String,
}

impl Header {
    /// Reads it from a custom archive, or from the `toc.dat` of the other two formats.
    pub fn read(from: &mut impl Read) -> std::io::Result<Self> {
        let mut magic = [0; 11];
        from.read_exact(&mut magic)?;
        let [b'P', b'G', b'D', b'M', b'P', major, minor, _revision, size, _offsets, _format] = magic else {
            return Err(Error::new(ErrorKind::InvalidData, "it is no archive of pg_dump"));
        };
        let version = (major, minor);
        // One byte says how it is compressed since 1.15; before, an integer.
        if version >= (1, 15) {
            from.read_exact(&mut [0])?;
        } else {
            int(from, size)?;
        }
        let mut fields = [0; 7];
        for field in &mut fields {
            *field = int(from, size)?;
        }
        let [second, minute, hour, day, month, year, summer] = fields;
        let small = |n: i64| i8::try_from(n).map_err(|_| odd());
        let year = i16::try_from(year + 1900).map_err(|_| odd())?;
        let made = DateTime::new(
            year,
            small(month + 1)?,
            small(day)?,
            small(hour)?,
            small(minute)?,
            small(second.min(59))?,
            0,
        );
        Ok(Header {
            version,
            made: made.map_err(|_| odd())?,
            summer: summer > 0,
            database: string(from, size)?,
        })
    }

    /// The oldest pg_restore that can read it.
    pub fn needs(&self) -> u32 {
        match self.version {
            (1, ..=14) => 0,
            (1, 15) => 16,
            _ => 17,
        }
    }

    /// The instant, if the dump host lived in this zone.
    pub fn instant(&self, zone: &TimeZone) -> Option<Timestamp> {
        let ambiguous = zone.to_ambiguous_timestamp(self.made);
        // In the hour that an autumn night has twice, the flag says which one it was.
        if self.summer { ambiguous.earlier().ok() } else { ambiguous.later().ok() }
    }
}

fn odd() -> Error {
    Error::new(ErrorKind::InvalidData, "its header holds no time")
}

/// A sign, then the bytes of the number, the least first.
fn int(from: &mut impl Read, size: u8) -> std::io::Result<i64> {
    let mut bytes = [0; 9];
    let bytes = bytes.get_mut(..=usize::from(size.min(8))).unwrap_or_default();
    from.read_exact(bytes)?;
    let number = bytes[1..].iter().rev().fold(0_i64, |n, b| (n << 8) | i64::from(*b));
    Ok(if bytes[0] == 0 { number } else { -number })
}

fn string(from: &mut impl Read, size: u8) -> std::io::Result<String> {
    let length = usize::try_from(int(from, size)?.max(0)).unwrap_or_default();
    let mut bytes = vec![0; length.min(4096)];
    from.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// When the dump began, from all that is known: the header read in `zone`, the seconds in the file's name (`pg-dump-shop-1764000000.dmp`),
/// and when the file was written last. Witnesses that contradict each other prove nothing.
pub fn began(
    header: Option<&Header>,
    zone: &TimeZone,
    name: &str,
    written: Timestamp,
) -> Result<Timestamp, String> {
    let named = seconds_in(name);
    let headed = header.map(|h| h.instant(zone).ok_or("its header's time does not exist in dump_timezone"));
    let headed = headed.transpose()?;
    let began = match (headed, named) {
        (Some(headed), Some(named)) if headed.duration_since(named).as_secs().abs() > 120 => {
            let (headed, named) = (crate::plan::instant(headed), crate::plan::instant(named));
            return Err(format!(
                "its header says {headed} and its name {named}: is dump_timezone the dump host's zone?"
            ));
        }
        (Some(headed), Some(named)) => headed.min(named),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => {
            return Err("nothing says when it was begun: have its name end in -<unix seconds>".into());
        }
    };
    if began > written + std::time::Duration::from_secs(120) {
        let (began, written) = (crate::plan::instant(began), crate::plan::instant(written));
        return Err(format!(
            "it would have been begun at {began}, but was written at {written}: is dump_timezone the dump host's zone?"
        ));
    }
    Ok(began)
}

/// The unix seconds at the end of a file's name.
fn seconds_in(name: &str) -> Option<Timestamp> {
    let stem = name.split('.').next()?;
    let digits = stem.rsplit('-').next()?;
    let seconds = digits.parse::<i64>().ok().filter(|_| digits.len() == 10)?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(hour: i64, summer: bool) -> Vec<u8> {
        let number = |n: i64| [vec![0], i32::try_from(n).expect("small").to_le_bytes().to_vec()].concat();
        let fields = [34, 40, hour, 22, if summer { 6 } else { 10 }, 126, i64::from(summer)];
        let fields: Vec<u8> = fields.into_iter().flat_map(number).collect();
        [b"PGDMP\x01\x0e\x00\x04\x08\x01".to_vec(), number(-1), fields, number(4), b"shop".to_vec()].concat()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone of this machine")
    }

    #[test]
    fn the_time_is_the_dump_hosts_and_never_ours() {
        let read = Header::read(&mut header(16, false).as_slice()).expect("read");
        assert_eq!((read.version, read.database.as_str(), read.needs()), ((1, 14), "shop", 0));
        let at = |zone: &TimeZone| read.instant(zone).expect("an instant").to_string();
        assert_eq!(at(&TimeZone::UTC), "2026-11-22T16:40:34Z");
        assert_eq!(at(&zone("America/New_York")), "2026-11-22T21:40:34Z");
        let summer = Header::read(&mut header(8, true).as_slice()).expect("read");
        let at = summer.instant(&zone("America/New_York")).expect("an instant");
        assert_eq!(at.to_string(), "2026-07-22T12:40:34Z");
    }

    #[test]
    fn witnesses_that_contradict_each_other_prove_nothing() {
        let read = Header::read(&mut header(16, false).as_slice()).expect("read");
        let new_york = zone("America/New_York");
        let written: Timestamp = "2026-11-22T21:45:00Z".parse().expect("an instant");
        let unix = written.as_second() - 270;
        let named = format!("pg-dump-shop-{unix}.dmp");
        let ask =
            |zone: &TimeZone, name: &str| began(Some(&read), zone, name, written).map(|t| t.to_string());
        assert_eq!(ask(&new_york, &named), Ok("2026-11-22T21:40:30Z".into()));
        assert_eq!(ask(&new_york, "shop.dump"), Ok("2026-11-22T21:40:34Z".into()));
        assert!(ask(&TimeZone::UTC, &named).expect_err("5 h apart").contains("dump_timezone"));
        assert!(
            ask(&zone("America/Los_Angeles"), "shop.dump")
                .expect_err("3 h after it was written")
                .contains("dump_timezone")
        );
        assert!(began(None, &TimeZone::UTC, "shop.sql", written).is_err());
        assert!(began(None, &TimeZone::UTC, &format!("shop-{unix}.sql"), written).is_ok());
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        for bytes in [&b""[..], b"PGDMP", b"12345678901234567890", &header(16, false)[..30]] {
            assert!(Header::read(&mut &*bytes).is_err());
        }
    }
}
