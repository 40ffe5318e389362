//! A connection that has been upgraded: bytes in both directions, bare or in the messages of a WebSocket.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{self, SplitSink, Stream, StreamExt as _};
use futures_util::{SinkExt as _, future};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::machinery::base64;

type Connection = TokioIo<Upgraded>;

/// How large a message of a WebSocket may be.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// How much is read from a bare connection at once.
const PIECE_BYTES: usize = 16 << 10;

/// What comes in: pieces of a byte stream, or whole messages.
pub(super) type Source = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// Where it goes out.
pub(super) enum Drain {
    /// A bare connection.
    Bare(WriteHalf<Connection>),
    /// A WebSocket, each piece a message.
    Web(SplitSink<WebSocketStream<Connection>, Message>),
    /// A WebSocket of texts.
    Texts(SplitSink<WebSocketStream<Connection>, Message>),
}

/// Both ends of a bare connection.
pub(super) fn bare(connection: Upgraded) -> (Source, Drain) {
    let (reader, writer) = tokio::io::split(TokioIo::new(connection));
    (Box::pin(stream::unfold(reader, read)), Drain::Bare(writer))
}

async fn read(mut reader: ReadHalf<Connection>) -> Option<(Bytes, ReadHalf<Connection>)> {
    let mut piece = vec![0; PIECE_BYTES];
    match reader.read(&mut piece).await {
        Ok(length) if length > 0 => {
            piece.truncate(length);
            Some((piece.into(), reader))
        }
        _ => None,
    }
}

/// Both ends of a WebSocket whose handshake is done.
pub(super) async fn web(connection: Upgraded) -> (Source, Drain) {
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, Some(config)).await;
    let (drain, source) = socket.split();
    // What is no message ends it; pings are answered by the WebSocket itself.
    let messages = source.take_while(|message| future::ready(matches!(message, Ok(message) if !message.is_close())));
    let pieces = messages.filter_map(|message| {
        future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(bytes),
            Ok(Message::Text(text)) => Some(text.into()),
            _ => None,
        })
    });
    (Box::pin(pieces), Drain::Web(drain))
}

/// Both ends of a WebSocket whose messages are texts: a channel's number as a digit, and base64 (`wsstream.Conn`).
pub(super) async fn texts(connection: Upgraded) -> (Source, Drain) {
    let (source, drain) = web(connection).await;
    let drain = match drain {
        Drain::Web(sink) => Drain::Texts(sink),
        drain => drain,
    };
    // What is no such text ends it.
    let pieces = source.map(|text| of_text(&text)).take_while(|piece| future::ready(piece.is_some()));
    (Box::pin(pieces.filter_map(future::ready)), drain)
}

fn of_text(text: &[u8]) -> Option<Bytes> {
    let (digit, rest) = text.split_first()?;
    let channel = digit.checked_sub(b'0').filter(|channel| *channel < 10)?;
    let bytes = base64::decode(std::str::from_utf8(rest).ok()?).ok()?;
    Some([&[channel], &*bytes].concat().into())
}

fn to_text(piece: &[u8]) -> String {
    match piece.split_first() {
        Some((channel, rest)) => format!("{channel}{}", base64::encode(rest)),
        None => String::new(),
    }
}

impl Drain {
    /// Sends a piece. Says whether the other end is still there.
    pub(super) async fn send(&mut self, piece: Bytes) -> bool {
        match self {
            Self::Bare(writer) => writer.write_all(&piece).await.is_ok() && writer.flush().await.is_ok(),
            Self::Web(sink) => sink.send(Message::Binary(piece)).await.is_ok(),
            Self::Texts(sink) => sink.send(Message::Text(to_text(&piece).into())).await.is_ok(),
        }
    }

    /// Says that this is the end.
    pub(super) async fn close(&mut self) {
        // Whoever has gone already needs no farewell.
        let _ = match self {
            Self::Bare(writer) => writer.shutdown().await.is_ok(),
            Self::Web(sink) | Self::Texts(sink) => {
                let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                sink.send(Message::Close(Some(frame))).await.is_ok()
            }
        };
    }
}
