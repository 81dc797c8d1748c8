-- Our process still waits; this is the first of its waiters, which would be granted the lock first.
-- returns the kind of holder, its time left, its id, its token, the time, and 1 if the queue
-- knows of us
function steps.beat(lock, queue, id, owner, terms, delay)
  local kind, holder, token, queued, capacity = look(lock)
  local known = holder == id or capacity and share_of(lock, id)
    or call('ZSCORE', queue, PROCESS) and call('ZSCORE', queue, member(id, owner, terms))
  if known then keep(queue) end
  if kind == OURS and not queued and known then
    queued = 1
    call('HSET', lock, 'queued', queued)
  elseif kind == FOREIGN and known then
    met_version_2(queue, delay)
  end
  local alone = kind == OURS and not capacity
  local left
  kind, left = mend(lock, queue, id, kind, queued, capacity)
  local seen = view(lock, id, kind, left, alone and holder, token)
  seen[6] = known and 1 or 0
  return seen
end
