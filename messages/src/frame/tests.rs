//! The decoder against a hostile stream: round trips, garbage between frames, flipped bits, frames without an end.

use super::*;
use alloc::vec;
use proptest::prelude::*;

type Message = (u32, Vec<u8>);

fn decode_stream(bytes: &[u8]) -> Vec<Result<Message, FrameError>> {
    Decoder::new().push_all(bytes).collect()
}

#[test]
fn a_frame_holds_one_zero_and_it_is_the_last_byte() {
    let frame = encode(&(0u32, vec![0u8; 1000])).unwrap();
    assert_eq!(frame.iter().filter(|byte| **byte == 0).count(), 1);
    assert_eq!(frame.last(), Some(&0));
}

#[test]
fn a_value_beyond_the_bound_is_refused_by_the_sender() {
    assert_eq!(encode(&(1u32, vec![7u8; FRAME_BYTES_MAX])), Err(FrameError::TooLong));
}

#[test]
fn the_longest_accepted_frame_is_decoded() {
    // Five bytes of postcard header, four of checksum, one stuffing byte per 254, the final zero.
    let value: Message = (u32::MAX, vec![9u8; FRAME_BYTES_MAX - 300]);
    let frame = encode(&value).unwrap();
    assert_eq!(decode_stream(&frame), [Ok(value)]);
}

#[test]
fn an_endless_frame_is_dropped_in_bounded_memory_and_the_next_one_arrives() {
    let mut decoder = Decoder::<Message>::new();
    for _ in 0..3 * FRAME_BYTES_MAX {
        assert_eq!(decoder.push(0x55), None);
    }
    assert!(decoder.pending.len() < FRAME_BYTES_MAX);
    assert_eq!(decoder.push(FRAME_END), Some(Err(FrameError::TooLong)));
    let frame = encode(&(3u32, vec![1u8])).unwrap();
    assert_eq!(decoder.push_all(&frame).collect::<Vec<_>>(), [Ok((3, vec![1]))]);
}

#[test]
fn an_intact_frame_of_another_type_is_an_unknown_message() {
    let frame = encode(&(1u8, 2u8, 3u8, [255u8; 12])).unwrap();
    assert_eq!(decode_stream(&frame), [Err(FrameError::UnknownMessage)]);
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(values in prop::collection::vec(any::<Message>(), 0..8)) {
        let stream: Vec<u8> = values.iter().flat_map(|value| encode(value).unwrap()).collect();
        let decoded: Vec<Message> = decode_stream(&stream).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(decoded, values);
    }

    #[test]
    fn garbage_costs_at_most_the_frame_it_touches(garbage in any::<Vec<u8>>(), value in any::<Message>()) {
        let mut stream = garbage;
        stream.push(FRAME_END);
        stream.extend(encode(&value).unwrap());
        prop_assert_eq!(decode_stream(&stream).pop(), Some(Ok(value)));
    }

    #[test]
    fn a_flipped_bit_is_never_delivered_as_another_value(
        value in any::<Message>(), place in any::<prop::sample::Index>(), bit in 0..8u32,
    ) {
        let mut frame = encode(&value).unwrap();
        let place = place.index(frame.len());
        frame[place] ^= 1 << bit;
        frame.push(FRAME_END);
        for outcome in decode_stream(&frame) {
            prop_assert!(outcome.is_err(), "delivered {:?}", outcome);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        for outcome in decode_stream(&bytes) {
            prop_assert!(outcome.is_err() || bytes.len() >= 7);
        }
    }
}
