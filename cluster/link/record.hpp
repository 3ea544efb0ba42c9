#pragma once
// What a TLS stream between nodes carries: records.
//
//   length(4, big-endian, of what follows) || kind(1) || content
//
// Pure. Thread rule: as a value.

#include "cluster/link/limits.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <functional>

namespace custos::cluster::link {

/// Never renumbered: nodes of two versions talk during an upgrade.
enum class record_kind : std::uint8_t {
  hello = 1, ///< first from both sides: hello.hpp
  refusal,   ///< why the sender closes: one octet, refusal_reason
  ready,     ///< of the larger name: content with the hello; one octet, 1 if it has another link
  accept,    ///< of the smaller name: the link is open; its number (8, big-endian)
  frame,     ///< octets of the user
  alive,     ///< a heartbeat, empty
  probe,     ///< asks for an echo of its 8 octets
  echo,      ///< the 8 octets of a probe
  clash,     ///< the receiver's identity was used by another process, empty
};

inline constexpr std::size_t record_header_bytes = 5;
inline constexpr std::size_t probe_bytes = 8;
inline constexpr std::size_t accept_bytes = 8;

struct record {
  record_kind kind = record_kind::alive;
  bytes content;
};

/// Header and content. `content` is at most frame_bytes_max (a frame) or control_bytes_max.
bytes write_record(record_kind kind, byte_view content);
bytes write_number(std::uint64_t number);
/// Of exactly 8 octets.
std::uint64_t read_number(byte_view octets);

/// Puts records together from octets as they come. What it holds grows with what was received,
/// never with what a length announces.
class record_reader {
public:
  /// Before that a frame is an error, as anything longer than control_bytes_max always is.
  void allow_frames() { frames_ = true; }

  /// Takes octets until a record is complete or they are used up; `taken` says how many.
  /// errc::malformed (unknown kind, wrong length for the kind, frame too early), errc::too_large.
  /// After an error the stream cannot be read on.
  result<std::optional<record>> feed(byte_view octets, std::size_t& taken);

  /// Octets of an incomplete record.
  [[nodiscard]] std::size_t held() const { return header_size_ + current_.content.size(); }

private:
  result<void> begin();

  bool frames_ = false;
  std::uint8_t header_[record_header_bytes] = {};
  std::size_t header_size_ = 0;
  std::size_t content_size_ = 0; ///< announced and allowed
  record current_;
};

} // namespace custos::cluster::link
