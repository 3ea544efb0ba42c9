#pragma once
// The objects of one kind, by name, with a hash over all of them that a change renews in a few
// microseconds however many there are. Persistent: a change makes a new table that shares all but
// one bucket with the old one. As a value; readers of distinct copies need no lock.
//
// The hash says what is in the table, never how it got there:
//
//   1,024 buckets in 32 groups of 32. A name belongs to the bucket numbered by the first ten bits
//   of its SHA-256: the first five are the group. bucket  SHA-256 over its objects in the order of
//   their names, each as
//           length of the name(1) || name || SHA-256 of the document(32)
//   group   SHA-256 over the hashes of its 32 buckets
//   table   SHA-256 over the hashes of its 32 groups

#include "adapters/crypto/crypto.hpp"
#include "cluster/config_codec.hpp"

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace custos::cluster {

/// An object with its canonical document. Immutable, shared between states.
struct stored_object {
  std::string name;
  config_object value;
  std::string document;
  crypto::sha256_digest hash{}; ///< SHA-256 of the document
};
using object_ptr = std::shared_ptr<const stored_object>;

/// The object with the document that it has in canonical form.
object_ptr make_object(std::string name, config_object value);

class object_table {
public:
  object_table();
  /// Of many objects at once. Of several with one name, the last counts.
  explicit object_table(std::vector<object_ptr> objects);

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] const crypto::sha256_digest& hash() const;
  /// nullptr if there is none.
  [[nodiscard]] const stored_object* find(std::string_view name) const;

  /// The table with this object, in place of one of its name.
  [[nodiscard]] object_table with(const object_ptr& object) const;
  /// The table without the object of this name.
  [[nodiscard]] object_table without(std::string_view name) const;

  /// All objects, in no order of use to anybody.
  template <class F>
  void for_each(F&& visit) const {
    for (const auto& g : root_->groups)
      for (const auto& b : g->buckets)
        for (const auto& object : b->objects)
          visit(object);
  }
  /// All objects in the order of their names.
  [[nodiscard]] std::vector<object_ptr> sorted() const;

private:
  static constexpr std::size_t fan_out = 32;
  struct bucket {
    std::vector<object_ptr> objects; ///< by name
    crypto::sha256_digest hash{};
  };
  using bucket_ptr = std::shared_ptr<const bucket>;
  struct group {
    std::array<bucket_ptr, fan_out> buckets;
    crypto::sha256_digest hash{};
  };
  using group_ptr = std::shared_ptr<const group>;
  struct root {
    std::array<group_ptr, fan_out> groups;
    crypto::sha256_digest hash{};
    std::size_t size = 0;
  };
  struct place {
    std::size_t group = 0;
    std::size_t bucket = 0;
  };

  explicit object_table(std::shared_ptr<const root> r) : root_(std::move(r)) {}
  static place place_of(std::string_view name);
  static bucket_ptr make_bucket(std::vector<object_ptr> objects);
  static group_ptr make_group(std::array<bucket_ptr, fan_out> buckets);
  static std::shared_ptr<const root> make_root(std::array<group_ptr, fan_out> groups,
                                               std::size_t size);
  [[nodiscard]] object_table with_bucket(place at, std::vector<object_ptr> objects) const;

  std::shared_ptr<const root> root_; ///< never null
};

} // namespace custos::cluster
