-- Take several locks at once, or none: those that are free, with nobody before us, and those that are ours
-- already (a repeated call, or the queue gave us one).
-- KEYS the fence, then for each lock its key and its queue   ARGV our process, the owner, the ttl, the ids
-- returns the token of all | the number of the first that is taken, from 0 on, negative: −1 − number
local owner, ttl = ARGV[2], ARGV[3]
local locks = (#KEYS - 1) / 2
for number = 0, locks - 1 do
  local lock, queue = KEYS[2 + 2 * number], KEYS[3 + 2 * number]
  local free = call('EXISTS', lock, queue) == 0
  -- What is no lock of anybody's is taken all the same.
  if not free and redis.pcall('HGET', lock, 'id') ~= ARGV[4 + number] then return -1 - number end
end
local token = next_number()
for number = 0, locks - 1 do
  local lock = KEYS[2 + 2 * number]
  call('HSET', lock, 'id', ARGV[4 + number], 'owner', owner, 'fence', token)
  call('PEXPIRE', lock, ttl)
end
return finish(token)
