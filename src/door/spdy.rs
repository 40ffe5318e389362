//! SPDY/3.1, as far as Kubernetes streams use it: streams that a client opens, data in both directions, pings.
//!
//! Older kubectls speak it on the bare connection; newer ones tunnel it through a WebSocket to forward ports. Flow
//! control and settings are left out, as `moby/spdystream` leaves them out. The compressed header blocks need a window
//! that starts with the protocol's dictionary; what is sent goes in stored blocks, which need no compressor.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// How large a frame may be.
const FRAME_BYTES_MAX: usize = 1 << 20;
/// How large a block of headers may be, decompressed.
const HEADERS_BYTES_MAX: usize = 64 << 10;
/// The window of the decompressor, a power of two above deflate's own.
const WINDOW_BYTES: usize = 64 << 10;
/// How much data goes into one frame.
const DATA_BYTES_MAX: usize = 32 << 10;

const VERSION: u16 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GO_AWAY: u16 = 7;
const HEADERS: u16 = 8;
/// Nothing more comes from whoever sent this.
const FIN: u8 = 1;

/// Words that headers are made of (section 2.6.10.1 of the draft), each after its length in four bytes.
const DICTIONARY_WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
    accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
    content-length content-location content-md5 content-range content-type date etag expect expires from host if-match \
    if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
    proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
    user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
    keep-alive origin";
/// What follows them, without lengths.
const DICTIONARY_REST: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
    Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not \
    Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov \
    Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,\
    application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,\
    utf-,*,enq=0.";

/// The dictionary that both ends know.
fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in DICTIONARY_WORDS.split_whitespace() {
        // The only word with a blank, and its length.
        let word = word.replace('_', " ");
        bytes.extend(u32::try_from(word.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(word.as_bytes());
    }
    bytes.extend(DICTIONARY_REST.as_bytes());
    bytes
}

/// The number of a stream.
pub(super) type StreamId = u32;

/// What the other end says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A stream begins.
    Open {
        /// Its number.
        stream: StreamId,
        /// Names, in small letters, and values.
        headers: Vec<(String, String)>,
        /// Whether nothing will come on it.
        ends: bool,
    },
    /// Data of a stream.
    Data {
        /// Whose.
        stream: StreamId,
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether nothing more will come.
        ends: bool,
    },
    /// A stream is broken off.
    Reset(StreamId),
    /// A question whether anybody is there.
    Ping(u32),
    /// The end of the connection.
    GoAway,
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Reads frames from bytes as they come.
pub(super) struct Decoder {
    bytes: Vec<u8>,
    inflater: Box<DecompressorOxide>,
    /// What was decompressed last, in a circle, beginning with the dictionary.
    window: Vec<u8>,
    at: usize,
    has_header: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        let mut window = dictionary();
        let at = window.len();
        window.resize(WINDOW_BYTES, 0);
        Self { bytes: Vec::new(), inflater: Box::default(), window, at, has_header: false }
    }
}

impl Decoder {
    /// Takes bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame that is whole; frames that mean nothing here are passed over.
    ///
    /// # Errors
    /// [`Broken`] when this is no SPDY.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Broken> {
        loop {
            let Some((head, rest)) = self.bytes.split_at_checked(8) else { return Ok(None) };
            let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            let (first, second) = (word(0), word(4));
            let length = (second & 0x00ff_ffff) as usize;
            if length > FRAME_BYTES_MAX {
                return Err(Broken);
            }
            if rest.len() < length {
                return Ok(None);
            }
            let payload = rest[..length].to_vec();
            self.bytes.drain(..8 + length);
            let ends = (second >> 24) as u8 & FIN != 0;
            if first >> 31 == 0 {
                return Ok(Some(Frame::Data { stream: first, bytes: payload, ends }));
            }
            if (first >> 16) as u16 & 0x7fff != VERSION {
                return Err(Broken);
            }
            if let Some(frame) = self.control(first as u16, &payload, ends)? {
                return Ok(Some(frame));
            }
        }
    }

    fn control(&mut self, kind: u16, payload: &[u8], ends: bool) -> Result<Option<Frame>, Broken> {
        let stream = number(payload, 0).map(|first| first & 0x7fff_ffff);
        Ok(match kind {
            SYN_STREAM => {
                let headers = self.headers(payload.get(10..).ok_or(Broken)?)?;
                Some(Frame::Open { stream: stream.ok_or(Broken)?, headers, ends })
            }
            // They mean nothing here, but the decompressor must see them.
            SYN_REPLY | HEADERS => {
                self.headers(payload.get(4..).ok_or(Broken)?)?;
                None
            }
            RST_STREAM => Some(Frame::Reset(stream.ok_or(Broken)?)),
            PING => Some(Frame::Ping(number(payload, 0).ok_or(Broken)?)),
            GO_AWAY => Some(Frame::GoAway),
            _ => None,
        })
    }

    fn headers(&mut self, compressed: &[u8]) -> Result<Vec<(String, String)>, Broken> {
        let block = self.inflate(compressed)?;
        let mut at = 4;
        let mut text = || {
            let length = number(&block, at).ok_or(Broken)? as usize;
            let bytes = block.get(at + 4..).and_then(|rest| rest.get(..length)).ok_or(Broken)?;
            at += 4 + length;
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        let count = number(&block, 0).ok_or(Broken)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((text()?.to_ascii_lowercase(), text()?));
        }
        Ok(headers)
    }

    fn inflate(&mut self, compressed: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut rest = compressed;
        if !std::mem::replace(&mut self.has_header, true) {
            // Two bytes of zlib's, and four that name the dictionary.
            rest = rest.get(6..).ok_or(Broken)?;
        }
        let mut block = Vec::new();
        loop {
            let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
            let (status, taken, made) = decompress(&mut self.inflater, rest, &mut self.window, self.at, flags);
            block.extend_from_slice(&self.window[self.at..self.at + made]);
            self.at = (self.at + made) % WINDOW_BYTES;
            rest = &rest[taken..];
            match status {
                _ if block.len() > HEADERS_BYTES_MAX => return Err(Broken),
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput if rest.is_empty() => return Ok(block),
                _ => return Err(Broken),
            }
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

/// Writes frames.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    has_header: bool,
}

fn control_frame(kind: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = (0x8000_u16 | VERSION).to_be_bytes().to_vec();
    frame.extend(kind.to_be_bytes());
    frame.extend((u32::from(flags) << 24 | u32::try_from(payload.len()).unwrap_or(0)).to_be_bytes());
    frame.extend(payload);
    frame
}

impl Encoder {
    /// The agreement to a stream that the other end has begun, without any headers.
    pub(super) fn accept(&mut self, stream: StreamId) -> Vec<u8> {
        let mut payload = stream.to_be_bytes().to_vec();
        if !std::mem::replace(&mut self.has_header, true) {
            // zlib without a dictionary.
            payload.extend([0x78, 0x01]);
        }
        // A stored block of four bytes, "no headers", and an empty one, which makes a reader hand out what it has.
        payload.extend([0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0]);
        payload.extend([0, 0, 0, 0xff, 0xff]);
        control_frame(SYN_REPLY, 0, &payload)
    }
}

/// Data on a stream, in as many frames as it takes.
pub(super) fn data(stream: StreamId, bytes: &[u8], ends: bool) -> Vec<u8> {
    let mut frames = Vec::with_capacity(bytes.len() + 16);
    let mut pieces = bytes.chunks(DATA_BYTES_MAX).peekable();
    if pieces.peek().is_none() {
        frames.extend(stream.to_be_bytes());
        frames.extend((u32::from(if ends { FIN } else { 0 }) << 24).to_be_bytes());
    }
    while let Some(piece) = pieces.next() {
        let flags = if ends && pieces.peek().is_none() { FIN } else { 0 };
        frames.extend(stream.to_be_bytes());
        frames.extend((u32::from(flags) << 24 | u32::try_from(piece.len()).unwrap_or(0)).to_be_bytes());
        frames.extend(piece);
    }
    frames
}

/// The answer to a ping.
pub(super) fn pong(id: u32) -> Vec<u8> {
    control_frame(PING, 0, &id.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adler-32, by which zlib names a dictionary.
    fn sum(bytes: &[u8]) -> u32 {
        let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
            let low = (low + u32::from(*byte)) % 65_521;
            (low, (high + low) % 65_521)
        });
        high << 16 | low
    }

    /// Two streams as a client opens them to forward port 80, their headers compressed one after the other.
    const OPENED: &str = "800300010000003e0000000100000000000078f9e3c6a7c202253a50ca0a2e294a4dcc851625aca9a08006a5fc80fc22501266b23000929cd048cc04256e460300000000ffff800300010000001800000003000000000000c2aa15540a2512d209000000ffff";

    #[test]
    fn streams_are_opened_with_headers_that_refer_to_the_dictionary() {
        assert_eq!((dictionary().len(), sum(&dictionary())), (1423, 0xe3c6_a7c2));
        let bytes: Vec<u8> =
            (0..OPENED.len()).step_by(2).filter_map(|at| u8::from_str_radix(&OPENED[at..at + 2], 16).ok()).collect();
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for piece in bytes.chunks(7) {
            decoder.feed(piece);
            frames.extend(decoder.next().expect("it is well-formed"));
        }
        let headers = |kind: &str| {
            let pairs = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
        };
        let open = |stream, kind| Frame::Open { stream, headers: headers(kind), ends: false };
        assert_eq!(frames, [open(1, "error"), open(3, "data")]);
    }

    #[test]
    fn data_and_signs_are_read_and_what_is_no_spdy_ends_it() {
        let mut decoder = Decoder::default();
        decoder.feed(&data(3, &vec![b'x'; DATA_BYTES_MAX + 1], true));
        decoder.feed(&data(5, b"", true));
        decoder.feed(&pong(7));
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next().expect("it is well-formed") {
            frames.push(frame);
        }
        let data = |stream, length, ends| Frame::Data { stream, bytes: vec![b'x'; length], ends };
        assert_eq!(frames, [data(3, DATA_BYTES_MAX, false), data(3, 1, true), data(5, 0, true), Frame::Ping(7)]);
        decoder.feed(b"\x80\x02\x00\x01\x00\x00\x00\x00");
        assert_eq!(decoder.next(), Err(Broken));
    }
}
