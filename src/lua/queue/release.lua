-- Our lock is over, and somebody waits for it.
-- returns 1 released | ids and tokens of waiters of our process that have it now
function steps.release(lock, queue, queued)
  return released(hand_on(lock, queue, queued))
end

-- Our share of a lock is over.
-- returns 0 not held by us | as release
function steps.release_share(lock, queue, id)
  local _, _, _, queued, capacity = look(lock)
  if not capacity or not share_of(lock, id) then return 0 end
  call('HDEL', lock, '=' .. id)
  if count_shares(lock, queued) == 0 then
    call('DEL', lock)
    return queued and released(hand_on(lock, queue, queued)) or 1
  end
  if not queued or capacity == 0 then return 1 end
  local _, handed = promote(lock, queue, queued, capacity, knows_all)
  return released(handed)
end
