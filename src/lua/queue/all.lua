-- Take several locks at once, or none: those that are free, with nobody before us, and those that are ours
-- already (a repeated call, or the queue gave us one). All get the same token. This step has a script to itself,
-- whose keys are its own; from `at` on `values` has the owner, the ttl and the id for each lock.
-- returns the token | the number of the first that is taken, from 0 on, negative: −1 − number
function steps.all(values, at)
  local owner, ttl, most = values[at], values[at + 1], (#KEYS - 1) / 2
  for number = 1, most do
    local lock, queue = KEYS[2 * number], KEYS[2 * number + 1]
    if call('EXISTS', lock, queue) > 0 then
      local kind, holder, _, queued, capacity = look(lock)
      local ours = kind ~= FREE and holder == values[at + 1 + number]
      if not ours and mend(lock, queue, nil, kind, queued, capacity) ~= FREE then return -number end
    end
  end
  local token = next_number()
  for number = 1, most do
    local lock = KEYS[2 * number]
    -- One that is ours may last longer.
    local left = call('PTTL', lock)
    local taken = take(lock, values[at + 1 + number], owner, left > tonumber(ttl) and left or ttl, token)
    if taken ~= token then return taken end
  end
  return token
end
