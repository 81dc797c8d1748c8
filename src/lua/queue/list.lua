-- What is told of a share: its id, owner, token, time left (ms), and how many may have one.
local function holder_of(id, share, capacity)
  local over, token, owner = read_share(share)
  return { id, owner, token, over - now(), string.format('%.0f', capacity) }
end

-- The shares of a lock in the order of their tokens.
local function shares_of(lock, capacity)
  local shares, tokens = {}, {}
  for id, share in each_share(lock) do
    if end_of(share) > now() then
      local holder = holder_of(id, share, capacity)
      shares[#shares + 1], tokens[holder] = holder, tonumber(holder[3])
    end
  end
  table.sort(shares, function(a, b) return tokens[a] < tokens[b] end)
  return shares
end

-- Tell who holds the lock, if nobody does so alone.
-- returns as read.lua, of the one that has had its share for the longest time
function steps.read(lock)
  local _, _, _, _, capacity = look(lock)
  local first_id, first_share, least = nil, nil, math.huge
  if capacity then
    for id, share in each_share(lock) do
      local token = tonumber(string.match(share, ' (%d+)'))
      if token < least and end_of(share) > now() then first_id, first_share, least = id, share, token end
    end
  end
  if not first_id then return { false, false, false, 0, false } end
  return holder_of(first_id, first_share, capacity)
end

-- Tell all there is to know of a lock: who holds it and who waits.
-- returns the holders, as read.lua; and the waiters in order, each its id, owner, capacity (nil: alone) and
-- for how long it has waited (ms)
function steps.list(lock, queue)
  local kind, _, _, _, capacity = look(lock)
  local holders, waiters = {}, {}
  if capacity then
    holders = shares_of(lock, capacity)
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
