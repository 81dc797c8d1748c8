-- The shares of a lock in the order of their tokens: each its id, owner, token and time left (ms).
local function shares_of(lock)
  local shares = {}
  for id, share in each_share(lock) do
    local over, token, owner = read_share(share)
    shares[#shares + 1] = { id, owner, token, over - now() }
  end
  table.sort(shares, function(a, b) return tonumber(a[3]) < tonumber(b[3]) end)
  return shares
end

-- Tell who holds the lock, if nobody does so alone.
-- returns as read.lua, of the one that has had its share for the longest time
function steps.read(lock)
  local _, _, _, _, capacity = look(lock)
  if not capacity then return { false, false, false, 0, false } end
  local holder = shares_of(lock)[1]
  holder[5] = string.format('%.0f', capacity)
  return holder
end

-- Tell all there is to know of a lock: who holds it and who waits.
-- returns the holders, as read.lua; and the waiters in order, each its id, owner, capacity (nil: alone) and
-- for how long it has waited (ms)
function steps.list(lock, queue)
  local kind, _, _, _, capacity = look(lock)
  local holders, waiters = {}, {}
  if capacity then
    holders = shares_of(lock)
    for _, holder in ipairs(holders) do holder[5] = string.format('%.0f', capacity) end
  elseif kind ~= FREE then
    local done, holder = pcall(read, lock)
    holders[1] = done and holder[1] and holder or { '', false, false, call('PTTL', lock), false }
  end
  local members = call('ZRANGEBYSCORE', queue, 0, '+inf', 'WITHSCORES')
  for at = 1, #members, 2 do
    local id, _, terms, owner = parts(members[at])
    local _, asked = parse(terms)
    local waits = math.max(0, math.floor(now() - tonumber(members[at + 1]) / 1000))
    waiters[#waiters + 1] = { id, owner, asked and string.format('%.0f', asked) or false, waits }
  end
  return { holders, waiters }
end
