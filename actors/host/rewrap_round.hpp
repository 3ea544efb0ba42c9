#pragma once
// One round of the background rewrap: which of this host's ciphertexts are under an older primary
// key, in which batches they go to the key service, and what comes of the answers. The ciphertext
// says itself under which key it is, so nothing has to be remembered between rounds. Pure but for
// the files.

#include "actors/host/ciphertext_file.hpp"
#include "actors/host/key_service_wire.hpp"
#include "messages/host.hpp"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace custos::host {

class rewrap_round {
public:
  /// Reads the files. Damaged ones are problems, and left alone.
  void read(const std::vector<std::filesystem::path>& paths);
  /// Plans, now that the present primary keys are known (decode_primary_keys).
  void plan(const std::map<std::string, std::string>& primary_keys);

  struct batch {
    std::string provider;
    std::vector<ciphertext_file> files; ///< at most rewrap_keys_max, and rewrap_bytes_max octets
  };
  /// The batch in hand, or nothing when all are done.
  [[nodiscard]] const batch* next() const { return batches_.empty() ? nullptr : &batches_.front(); }
  [[nodiscard]] std::string request_of(const batch& b) const;
  /// The answer for the batch in hand: files are replaced. A refusal of single keys, or a file that
  /// cannot be replaced, is a problem of that file.
  void answered(std::string_view body);
  /// The call failed: the files of the batch in hand stay pending.
  void refused() { batches_.pop_front(); }

  [[nodiscard]] std::size_t files() const { return files_; }
  [[nodiscard]] std::size_t pending() const { return pending_; }
  [[nodiscard]] std::size_t rewrapped() const { return rewrapped_; }
  [[nodiscard]] const std::vector<rewrap_problem>& problems() const { return problems_; }

private:
  void problem(const std::filesystem::path& file, const error& e);
  void settle(const ciphertext_file& file, const std::variant<rewrapped_key, error>& told);

  std::vector<ciphertext_file> read_;
  std::deque<batch> batches_;
  std::vector<rewrap_problem> problems_;
  std::size_t files_ = 0;
  std::size_t pending_ = 0;
  std::size_t rewrapped_ = 0;
};

} // namespace custos::host
