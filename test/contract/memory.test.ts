import { MemoryStore } from './memoryStore';
import { storeSuite } from './store.suite';

const store = new MemoryStore();
storeSuite('memory', () => store, 1500);
