-- Take the lock from whoever holds it, before all who wait; without an id, only free it. Its holders are told:
-- an id of ours begins with the name of its process, which is 13 characters long.
-- returns the token: ours | without an id: 0 nobody held it | as release
function steps.steal(lock, queue, id, owner, ttl)
  local kind, holder, token, queued, capacity = look(lock)
  if id ~= '' and holder == id then
    renew(lock, ttl)
    return token or next_number()
  end
  -- Version-2 processes are told nothing, and have no tokens.
  local victims = {}
  if capacity then
    for other, share in each_share(lock) do
      local _, its = read_share(share)
      victims[other] = other ~= id and its or nil
    end
  elseif kind == OURS then
    victims[holder] = token
  end
  if kind ~= FREE then call('DEL', lock) end
  local answer
  if id == '' then
    -- Whoever has the lock next has a larger token, and so has whoever asks for one meanwhile.
    next_number()
    answer = kind == FREE and 0 or 1
    if kind ~= FREE and first(queue, 0) then answer = released(hand_on(lock, queue, queued or 0)) end
  else
    answer = take(lock, id, owner, ttl)
    if type(answer) == 'string' and first(queue, 0) then
      call('HSET', lock, 'queued', 1)
      call('ZREM', queue, 'window', 'theirs')
    end
  end
  for victim, its in pairs(victims) do
    tell(string.sub(victim, 1, 13), 'lost ' .. victim .. ' ' .. its)
  end
  return answer
end
