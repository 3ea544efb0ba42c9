#pragma once
// Objects of one kind by name, shared between snapshots: copying an index copies pointers to its
// shards, changing it copies the one shard concerned, and an object is never copied. As a value;
// readers of distinct copies need no lock.

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace custos {

/// With one shard the objects are in the order of their names; with more, by shard, then name.
template <class T, std::size_t Shards = 1>
class object_index {
  using shard = std::map<std::string, std::shared_ptr<const T>, std::less<>>;
  using shard_array = std::array<std::shared_ptr<const shard>, Shards>;

public:
  /// What an iterator shows: valid as long as the index is.
  struct entry {
    const std::string& first;
    const T& second;
  };

  class const_iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = entry;
    using difference_type = std::ptrdiff_t;
    using pointer = const entry*;
    using reference = entry;

    struct arrow {
      entry shown;
      const entry* operator->() const { return &shown; }
    };

    const_iterator() = default;
    entry operator*() const { return {at_->first, *at_->second}; }
    arrow operator->() const { return {**this}; }
    const_iterator& operator++() {
      ++at_;
      skip_empty();
      return *this;
    }
    const_iterator operator++(int) {
      auto before = *this;
      ++*this;
      return before;
    }
    /// The object itself, to hold beyond the index.
    [[nodiscard]] const std::shared_ptr<const T>& shared() const { return at_->second; }
    friend bool operator==(const const_iterator& a, const const_iterator& b) {
      return a.shard_ == b.shard_ && (a.shard_ == Shards || a.at_ == b.at_);
    }

  private:
    friend class object_index;
    const_iterator(const shard_array* all, std::size_t shard) : all_(all), shard_(shard) {
      if (shard_ < Shards)
        at_ = (*all_)[shard_]->begin();
      skip_empty();
    }
    void skip_empty() {
      while (shard_ < Shards && at_ == (*all_)[shard_]->end())
        if (++shard_ < Shards)
          at_ = (*all_)[shard_]->begin();
    }

    const shard_array* all_ = nullptr;
    std::size_t shard_ = Shards;
    typename shard::const_iterator at_{};
  };

  object_index() {
    static const auto none = std::make_shared<const shard>();
    shards_.fill(none);
  }

  [[nodiscard]] const_iterator begin() const { return {&shards_, 0}; }
  [[nodiscard]] const_iterator end() const { return {&shards_, Shards}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  [[nodiscard]] const_iterator find(std::string_view name) const {
    const auto s = shard_of(name);
    const auto found = shards_[s]->find(name);
    if (found == shards_[s]->end())
      return end();
    const_iterator out;
    out.all_ = &shards_;
    out.shard_ = s;
    out.at_ = found;
    return out;
  }
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != end(); }
  [[nodiscard]] std::size_t count(std::string_view name) const { return contains(name) ? 1 : 0; }
  /// The object is there.
  [[nodiscard]] const T& at(std::string_view name) const { return *find(name).shared(); }
  [[nodiscard]] T& at(const std::string& name) { return (*this)[name]; }

  void set(const std::string& name, std::shared_ptr<const T> object) {
    auto& mine = writable(shard_of(name));
    const auto [at, added] = mine.insert_or_assign(name, std::move(object));
    static_cast<void>(at);
    size_ += added ? 1U : 0U;
  }
  std::size_t erase(std::string_view name) {
    auto& mine = writable(shard_of(name));
    const auto found = mine.find(name);
    if (found == mine.end())
      return 0;
    mine.erase(found);
    --size_;
    return 1;
  }
  void clear() { *this = object_index(); }
  /// A copy of the other, or the other way round, and neither was changed since: all objects are
  /// the same. Cheap; false says nothing.
  [[nodiscard]] bool same_as(const object_index& other) const { return shards_ == other.shards_; }
  /// An object to change in place, made if it is not there: for whoever builds a snapshot by hand.
  T& operator[](const std::string& name) {
    auto& slot = writable(shard_of(name))[name];
    size_ += slot ? 0U : 1U;
    if (!slot || slot.use_count() > 1)
      slot = slot ? std::make_shared<const T>(*slot) : std::make_shared<const T>();
    return const_cast<T&>(*slot); // NOLINT(cppcoreguidelines-pro-type-const-cast)
  }

private:
  static std::size_t shard_of(std::string_view name) {
    if constexpr (Shards == 1)
      return 0;
    else
      return std::hash<std::string_view>{}(name) % Shards;
  }
  shard& writable(std::size_t s) {
    // A shard is only ever const for those who share it. Nobody else can begin to: only a copy of
    // this index would, and an index is changed by one thread at a time.
    if (shards_[s].use_count() > 1)
      shards_[s] = std::make_shared<const shard>(*shards_[s]);
    else // whoever shared it until now has done with reading it
      std::atomic_thread_fence(std::memory_order_acquire);
    return const_cast<shard&>(*shards_[s]); // NOLINT(cppcoreguidelines-pro-type-const-cast)
  }

  shard_array shards_;
  std::size_t size_ = 0;
};

} // namespace custos
